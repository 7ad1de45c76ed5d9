// portal listens on a loopback port of the network namespace it is started in and forwards every connection to an
// address inside another network namespace: the one door from the machine's own shell into a local cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const dialTimeout = 10 * time.Second

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	namespace := flag.String("namespace", "", "path of the network namespace to dial in, as /run/netns/NAME")
	target := flag.String("target", "", "address to dial in that namespace, as 10.250.0.1:6443")
	flag.Parse()
	if err := run(*listen, *namespace, *target); err != nil {
		fmt.Fprintln(os.Stderr, "portal:", err)
		os.Exit(1)
	}
}

func run(listen, namespace, target string) error {
	if namespace == "" || target == "" {
		return errors.New("give -namespace PATH and -target ADDRESS")
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go forward(client, namespace, target)
	}
}

func forward(client net.Conn, namespace, target string) {
	defer client.Close()
	server, err := dialIn(namespace, target)
	if err != nil {
		log.Printf("dial %s in %s: %v", target, namespace, err)
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		pipe(server, client)
		close(done)
	}()
	pipe(client, server)
	<-done
}

// pipe copies until the source ends, then passes the end on, so that half-closed streams work.
func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		to.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// dialIn connects on a thread that has entered the namespace. The thread stays locked, so the runtime ends it with
// its goroutine and nothing else ever runs in the wrong namespace; the connection keeps the namespace it was made in.
func dialIn(namespace, target string) (net.Conn, error) {
	type result struct {
		connection net.Conn
		err        error
	}
	results := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		connection, err := dialHere(namespace, target)
		results <- result{connection, err}
	}()
	r := <-results
	return r.connection, r.err
}

func dialHere(namespace, target string) (net.Conn, error) {
	file, err := os.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	// An IP address needs no resolver, so the socket is made on this very thread.
	return (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, "tcp", target)
}
