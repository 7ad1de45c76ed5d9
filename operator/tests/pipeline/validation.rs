//! What the API server refuses of a Pipeline, and what it says to write instead.

use tailrace_crds::{
    Pipeline,
    pipeline::{DatabaseEngine, DeletionPolicy},
};

use crate::{
    cluster::{namespace, operator, pipeline, until_event, until_reason, yaml},
    support::Namespace,
};

async fn refusal(namespace: &Namespace, spec: &str) -> String {
    namespace.try_create_yaml::<Pipeline>(&yaml(spec)).await.expect_err("it was accepted")
}

#[tokio::test]
async fn an_empty_spec_is_accepted_and_filled_in() {
    let namespace = namespace().await;
    let spec = pipeline(&namespace, "{}").await.spec;
    assert_eq!(spec.kafka.managed.unwrap().storage.size.0, "2Gi");
    let database = spec.mongodb.managed.unwrap();
    assert_eq!((database.engine, database.storage.size.0.as_str()), (DatabaseEngine::MongoDB, "5Gi"));
    assert_eq!((spec.topics.images.name.as_str(), spec.topics.images.partitions), ("iot_images", 12));
    assert_eq!((spec.inference.replicas, spec.inference.max_batch), (1, 8));
    assert!(spec.archive.enabled);
    assert_eq!(spec.deletion_policy, DeletionPolicy::Retain);
}

#[tokio::test]
async fn two_modes_at_once_and_no_mode_are_refused() {
    let namespace = namespace().await;
    for kafka in ["{managed: {}, external: {bootstrapServers: 'k:9092'}}", "{}"] {
        let message = refusal(&namespace, &format!("{{kafka: {kafka}}}")).await;
        assert!(message.contains("spec.kafka") && message.contains("write either managed or external"), "{message}");
    }
    let message = refusal(&namespace, "{mongodb: {managed: {}, external: {uriSecretRef: {name: a, key: b}}}}").await;
    assert!(message.contains("managed: {} for a database that the operator runs, external for your own"), "{message}");
}

#[tokio::test]
async fn wrong_values_are_refused_with_what_to_write() {
    let namespace = namespace().await;
    let cases = [
        ("{topics: {images: {partitions: 0}}}", "write a number of partitions from 1 to 1000"),
        ("{topics: {images: {name: 'a b'}}}", "use letters, digits, dots, underscores and hyphens"),
        ("{topics: {images: {name: inferences}}}", "the three topics need three different names"),
        ("{kafka: {managed: {storage: {size: 10Mi}}}}", "write at least 256Mi"),
        ("{mongodb: {managed: {storage: {size: 10Mi}}}}", "write at least 256Mi"),
        ("{kafka: {external: {bootstrapServers: kafka}}}", "write host:port, separated by commas"),
        ("{inference: {replicas: 0}}", "write a number of replicas from 1 to 100"),
        ("{inference: {maxBatch: 257}}", "write a batch size from 1 to 256"),
        ("{mongodb: {managed: {}, database: 1st}}", "begin with a letter"),
        ("{mongodb: {managed: {}, database: local}}", "write another database name"),
        ("{mongodb: {external: {uriSecretRef: {name: my_secret, key: uri}}}}", "write the name of a Secret"),
        ("{mongodb: {external: {uriSecretRef: {name: a, key: 'the uri'}}}}", "not a key of a Secret"),
        (
            "{mongodb: {managed: {storage: {size: 5Gi, storageClassName: Fast SSD}}}}",
            "write the name of a StorageClass",
        ),
        ("{kafka: {managed: {storage: {size: 2 Gi}}}}", "write a number with a unit and without spaces, such as 2Gi"),
        ("{kafka: {managed: {storage: {size: many}}}}", "write a number with a unit and without spaces, such as 2Gi"),
        ("{kafka: {external: {bootstrapServers: 'k:99999'}}}", "write host:port, separated by commas"),
        ("{kafka: {external: {bootstrapServers: '2001:db8::1:9092'}}}", "[2001:db8::1]:9092"),
        ("{kafka: {external: {bootstrapServers: '[2001:db8:::1]:9092'}}}", "[2001:db8::1]:9092"),
        ("{topics: {images: {name: ..}}}", "not a topic name"),
        ("{topics: {images: {name: __consumer_offsets}}}", "are for Kafka's own topics"),
        ("{topics: {images: {name: a.b}, inferences: {name: a_b}}}", "differ in more than a dot for an underscore"),
        ("{inference: {nodeSelector: {'disk type': ssd}}}", "not the key of a label of nodes"),
        ("{inference: {nodeSelector: {disk: 'very fast'}}}", "not the value of a label"),
        ("{inference: {tolerations: [{key: gpu, operator: In}]}}", "write Exists or Equal"),
        ("{inference: {tolerations: [{key: gpu, effect: Never}]}}", "write NoSchedule, PreferNoSchedule or NoExecute"),
        ("{inference: {tolerations: [{value: gpu}]}}", "write operator: Exists for that, or the key of a taint"),
    ];
    for (spec, expected) in cases {
        let message = refusal(&namespace, spec).await;
        assert!(message.contains(expected), "{spec}: {message}");
    }
}

#[tokio::test]
async fn a_name_too_long_for_its_pods_is_refused() {
    let namespace = namespace().await;
    let named = yaml("{}").replace("cifar", &"x".repeat(41));
    let message = namespace.try_create_yaml::<Pipeline>(&named).await.expect_err("it was accepted");
    assert!(message.contains("at most 40 characters"), "{message}");
}

#[tokio::test]
async fn resources_that_no_pod_can_have_are_refused_for_every_part() {
    let namespace = namespace().await;
    for part in ["{inference: RESOURCES}", "{kafka: {managed: RESOURCES}}", "{mongodb: {managed: RESOURCES}}"] {
        for (resources, expected) in [
            ("{requests: {cpu: 2 cores}}", "not a quantity: write a number with a unit and without spaces"),
            ("{limits: {memory: 1GB}}", "not a quantity: write a number with a unit and without spaces"),
            ("{limits: {memory: -1Gi}}", "not a quantity: write a number with a unit and without spaces"),
            ("{requests: {cpu: 3}, limits: {cpu: '2'}}", "a request is larger than its limit"),
            ("{requests: {memory: 1Gi}, limits: {memory: 1G}}", "a request is larger than its limit"),
            ("{requests: {cpus: 3}}", "write cpu, memory, ephemeral-storage or the whole name of a device"),
            ("{claims: [{name: gpu}]}", "leave claims out"),
            (
                "{requests: {example.com/gpu: 1}}",
                "devices are not shared: write the same number into requests and limits",
            ),
            ("{requests: {example.com/gpu: 1}, limits: {example.com/gpu: 2}}", "devices are not shared"),
            ("{limits: {example.com/gpu: 500m}}", "devices are not shared: write a whole number of them"),
            ("{limits: {example.com/gpu: '0.5'}}", "devices are not shared: write a whole number of them"),
            ("{limits: {a..b/gpu: 1}}", "the whole name of a device, such as example.com/gpu"),
            ("{limits: {requests.example.com/gpu: 1}}", "the whole name of a device, such as example.com/gpu"),
        ] {
            let spec = part.replace("RESOURCES", &format!("{{resources: {resources}}}"));
            let message = refusal(&namespace, &spec).await;
            assert!(message.contains(expected), "{spec}: {message}");
        }
    }
}

#[tokio::test]
async fn devices_are_accepted_as_pods_have_them() {
    let namespace = namespace().await;
    for resources in
        ["{limits: {example.com/gpu: 1}}", "{requests: {example.com/gpu: 1}, limits: {example.com/gpu: 1}}"]
    {
        let spec = format!("{{inference: {{podTemplate: {{resources: {resources}}}}}}}");
        pipeline(&namespace, &spec).await;
        namespace.delete::<Pipeline>("cifar").await;
        namespace.until_gone::<Pipeline>("cifar").await;
    }
}

#[tokio::test]
async fn a_name_that_no_service_can_have_is_refused() {
    let namespace = namespace().await;
    for name in ["resnet.v2", "3d-cams", "2"] {
        let named = yaml("{}").replace("cifar", &format!("'{name}'"));
        let message = namespace.try_create_yaml::<Pipeline>(&named).await.expect_err("it was accepted");
        assert!(message.contains("its name begins with a letter and has no dots"), "{name}: {message}");
    }
}

#[tokio::test]
async fn what_cannot_change_is_refused_with_the_way_out() {
    let namespace = namespace().await;
    pipeline(&namespace, "{}").await;
    let changes = [
        ("{topics: {images: {partitions: 6}}}", "Kafka cannot lower the partitions"),
        ("{kafka: {external: {bootstrapServers: 'k:9092'}}}", "create a new Pipeline"),
        ("{mongodb: {managed: {engine: FerretDB}}}", "the engine of a managed database cannot be changed"),
        ("{kafka: {managed: {storage: {size: 1Gi}}}}", "a volume cannot shrink"),
    ];
    for (spec, expected) in changes {
        let mut changed: Pipeline = serde_yaml_ng::from_str(&yaml(spec)).unwrap();
        changed.metadata = namespace.get::<Pipeline>("cifar").await.metadata;
        let refused = namespace.api().replace("cifar", &Default::default(), &changed).await;
        let message = refused.expect_err("it was accepted").to_string();
        assert!(message.contains(expected), "{spec}: {message}");
    }
}

#[tokio::test]
async fn what_only_the_operator_can_compute_is_told_in_the_condition() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    pipeline(&namespace, "{topics: {images: {partitions: 1000}, inferences: {partitions: 1000}}}").await;
    let message = until_reason(&namespace, "Ready", "InvalidSpec").await;
    assert!(message.contains("2001 partitions need a volume of at least 11435Mi"), "{message}");
    until_event(&namespace, "Warning InvalidSpec").await;
}

#[tokio::test]
async fn what_only_the_pods_are_refused_for_is_told_in_the_condition() {
    let namespace = namespace().await;
    let _operator = operator(&namespace);
    let (device, profile) = ("example.com/gpu: '1.5'", "container.apparmor.security.beta.kubernetes.io/x: y");
    let inference = format!("inference: {{podTemplate: {{resources: {{limits: {{{device}}}}}}}}}");
    let archive = format!("archive: {{podTemplate: {{annotations: {{{profile}}}}}}}");
    pipeline(&namespace, &format!("{{{inference}, {archive}}}")).await;
    let message = until_reason(&namespace, "ArchiveReady", "Refused").await;
    assert!(message.contains("invalid AppArmor profile name"), "{message}");
    let message = until_reason(&namespace, "InferenceReady", "Refused").await;
    assert!(message.contains("example.com/gpu") && message.contains("must be an integer"), "{message}");
}
