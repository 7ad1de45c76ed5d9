//! A database that refuses to insert for as long as it is told to, as a server does that cannot fulfil a write concern.
//! It speaks as much of MongoDB's wire protocol as its driver needs, and stores nothing.
//! Source: <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use mongodb::bson::{Document, doc};

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

#[derive(Clone)]
pub struct StubbornDatabase {
    port: u16,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    refusal: Option<(i32, &'static str)>,
    inserted: usize,
}

impl StubbornDatabase {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let database = Self { port: listener.local_addr().unwrap().port(), known: Arc::default() };
        let serving = database.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        database
    }

    /// The command `insert` is refused with this code and message from now on.
    pub fn refuse(&self, code: i32, message: &'static str) {
        self.known.lock().unwrap().refusal = Some((code, message));
    }

    /// It is not refused any more.
    pub fn accept(&self) {
        self.known.lock().unwrap().refusal = None;
    }

    /// How many documents it has taken.
    pub fn inserted(&self) -> usize {
        self.known.lock().unwrap().inserted
    }

    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?w=2", self.port)
    }

    /// Until the client goes away.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let mut head = [0; 16];
            stream.read_exact(&mut head).ok()?;
            let number = |place: usize| i32::from_le_bytes(head[place..place + 4].try_into().unwrap());
            let (length, request, operation) = (number(0), number(4), number(12));
            let mut body = vec![0; length as usize - head.len()];
            stream.read_exact(&mut body).ok()?;
            let (operation, before, answer) = match operation {
                OP_QUERY => (OP_REPLY, [&[0; 16][..], &1_i32.to_le_bytes()].concat(), hello()),
                OP_MSG => (OP_MSG, vec![0; 5], self.answer(&body[4..])),
                other => panic!("the driver sends the operation {other}"),
            };
            let mut bytes = Vec::new();
            answer.to_writer(&mut bytes).unwrap();
            let length = (head.len() + before.len() + bytes.len()) as i32;
            let head = [length, 1, request, operation].map(i32::to_le_bytes).concat();
            stream.write_all(&[head, before, bytes].concat()).ok()?;
        }
    }

    fn answer(&self, mut sections: &[u8]) -> Document {
        let (mut command, mut documents) = (Document::new(), 0);
        while let Some((kind, rest)) = sections.split_first() {
            let length = i32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
            let (mut section, rest) = rest.split_at(length);
            sections = rest;
            if *kind == 0 {
                command = Document::from_reader(&mut section).unwrap();
                continue;
            }
            // The length, a name that ends with a zero, and documents.
            let name = section[4..].iter().position(|byte| *byte == 0).unwrap();
            let mut list = &section[4 + name + 1..];
            while !list.is_empty() {
                Document::from_reader(&mut list).unwrap();
                documents += 1;
            }
        }
        match command.keys().next().map(String::as_str) {
            Some("insert") => self.insert(documents + command.get_array("documents").map_or(0, Vec::len)),
            Some("hello" | "isMaster" | "ismaster") => hello(),
            _ => doc! {"ok": 1, "cursor": {"id": 0_i64, "ns": "iot.any", "firstBatch": []}},
        }
    }

    fn insert(&self, documents: usize) -> Document {
        let mut known = self.known.lock().unwrap();
        if let Some((code, message)) = known.refusal {
            return doc! {"ok": 0, "code": code, "codeName": "Refused", "errmsg": message};
        }
        known.inserted += documents;
        doc! {"ok": 1, "n": documents as i32}
    }
}

fn hello() -> Document {
    doc! {
        "ok": 1, "helloOk": true, "isWritablePrimary": true, "ismaster": true, "minWireVersion": 0, "maxWireVersion": 21,
        "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
    }
}
