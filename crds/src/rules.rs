//! What the API server checks of a field in CEL, and the sentence with which it refuses what is wrong.
//!
//! A field whose text becomes a name, an address or a label of an object that the operator makes is checked here, so that
//! the wrong text is refused when it is applied and not when it is used.

use kube::core::Rule;

/// The name of most objects of Kubernetes: an RFC 1123 subdomain. The API server's budget counts the letters of a pattern,
/// so this one is shorter than that of Kubernetes, and means the same.
pub const SUBDOMAIN: &str = "[a-z0-9]+((-+|[.])[a-z0-9]+)*";
/// The name of a Service, and so what the names of the Services of a Pipeline begin with: an RFC 1035 label.
const SERVICE: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
/// The key of a label: a name after the subdomain of who defines it, if that is not Kubernetes itself.
pub const LABEL_KEY: &str = "([a-z0-9]+((-+|[.])[a-z0-9]+)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
/// Kubernetes limits the subdomain of a key to this length; here it is that of the whole key.
pub const LONGEST_KEY: i64 = 253;
/// The API server puts `requests.` before the name of a device.
const LONGEST_RESOURCE: i64 = 240;
/// The value of a label.
pub const LABEL_VALUE: &str = "([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?";

/// The name of a `kind` that exists already.
pub fn name_of(kind: &str) -> Rule {
    Rule::new(matches("self", SUBDOMAIN))
        .message(&*format!("not a name: write the name of a {kind}, in lower-case letters, digits, hyphens and dots"))
}

/// The name of a `kind`, or the empty text, which has a meaning of its own.
pub fn name_or_nothing_of(kind: &str) -> Rule {
    Rule::new(format!("self == '' || {}", matches("self", SUBDOMAIN)))
        .message(&*format!("not a name: write the name of a {kind}, in lower-case letters, digits, hyphens and dots"))
}

/// The name of a Pipeline in the same namespace.
pub fn name_of_pipeline() -> Rule {
    Rule::new(matches("self", SERVICE)).message(
        "not the name of a Pipeline: write its name alone, such as cifar, in lower-case letters, digits and hyphens, \
         beginning with a letter; it is looked for in this namespace",
    )
}

/// That Services can be named after an object of this `kind`.
pub fn names_services(kind: &str) -> Rule {
    Rule::new(matches("self.metadata.name", SERVICE)).message(&*format!(
        "Services are named after a {kind}, so its name begins with a letter and has no dots: write lower-case letters, \
         digits and hyphens, such as resnet-v2"
    ))
}

/// The key of a Secret.
pub fn key_of_secret() -> Rule {
    Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')")
        .message("not a key of a Secret: write letters, digits, hyphens, underscores and dots, such as uri")
}

/// The keys of a map of labels.
pub fn keys_of_labels(of: &str) -> Rule {
    Rule::new(format!("self.all(key, key.size() <= {LONGEST_KEY} && {})", matches("key", LABEL_KEY))).message(&*format!(
        "not the key of {of}: write up to 63 letters, digits, hyphens, underscores and dots, such as team or example.com/team"
    ))
}

/// The values of a map of labels.
pub fn values_of_labels() -> Rule {
    Rule::new(format!("self.all(key, {})", matches("self[key]", LABEL_VALUE)))
        .message("not the value of a label: write up to 63 letters, digits, hyphens, underscores and dots")
}

/// The key of a label, or nothing, as the value of a CEL expression.
pub fn key_of_label_or_nothing(text: &str, of: &str) -> Rule {
    Rule::new(matches(&format!("({text})"), &format!("({LABEL_KEY})?"))).message(&*format!(
        "not the key of {of}: write up to 63 letters, digits, hyphens, underscores and dots, such as team or example.com/team"
    ))
}

/// The value of a label, as the value of a CEL expression.
pub fn value_of_label(text: &str) -> Rule {
    Rule::new(matches(&format!("({text})"), LABEL_VALUE))
        .message("not the value of a label: write up to 63 letters, digits, hyphens, underscores and dots")
}

/// The names of the resources of a map: those of Kubernetes itself, or devices with a whole name.
pub fn names_of_resources() -> Rule {
    let of_device = matches("name", &format!("(hugepages-[0-9]+[KMGTPE]i|{})", LABEL_KEY.replacen("/)?", "/)", 1)));
    Rule::new(format!(
        "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || (name.size() <= {LONGEST_RESOURCE} \
         && !name.startsWith('requests.') && {of_device}))"
    ))
    .message(
        "not the name of a resource: write cpu, memory, ephemeral-storage or the whole name of a device, such as \
         example.com/gpu",
    )
}

/// Addresses of brokers: names, IPv4 addresses, or IPv6 addresses in brackets.
pub fn addresses_of_brokers() -> Rule {
    const HOST: &str = "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])";
    const PORT: &str = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
    let addresses = format!(
        "!self.endsWith(',') && !self.contains('..') && {}",
        matches("self", &format!("({HOST}:{PORT}(,|$))+"))
    );
    let in_brackets = "self.split(',').all(broker, !broker.startsWith('[') || !broker.contains(']') \
                       || isIP(broker.substring(1, broker.indexOf(']'))))";
    Rule::new(format!("{addresses} && {in_brackets}")).message(
        "not a list of brokers: write host:port, separated by commas without spaces, such as \
         kafka-0.example:9092,[2001:db8::1]:9092",
    )
}

/// The name of a topic that Kafka takes and does not keep for itself.
pub fn name_of_topic() -> Rule {
    Rule::new("self.matches('^[a-zA-Z0-9._-]+$') && self != '.' && self != '..' && !self.startsWith('__')").message(
        "not a topic name: use letters, digits, dots, underscores and hyphens, and not two underscores at the beginning, which \
         are for Kafka's own topics",
    )
}

/// Three topics that Kafka keeps apart: it takes a dot and an underscore for the same.
pub fn different_topics() -> Rule {
    const NAMES: &str = "[self.images.name, self.inferences.name, self.deadLetter.name]";
    let of_three = |different: &str| format!("{NAMES}.all(one, {NAMES}.exists_one(other, {different}))");
    Rule::new(of_three("one.replace('.', '_') == other.replace('.', '_')")).message(
        "the three topics need three different names: write others, which differ in more than a dot for an underscore",
    )
}

/// A path within a volume.
pub fn path_inside_a_volume() -> Rule {
    Rule::new("!self.startsWith('/') && !('/' + self + '/').contains('/../') && !self.matches('[[:cntrl:]]')").message(
        "not a folder inside the volume: write a path without a / at the beginning and without .., such as photos/test",
    )
}

fn matches(text: &str, pattern: &str) -> String {
    format!("{text}.matches('^{pattern}$')")
}
