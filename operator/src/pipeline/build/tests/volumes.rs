//! Volumes of the servers, and the Jobs that are about them.

use super::*;

#[test]
fn a_broker_bounds_its_disk_by_the_size_of_its_volume() {
    let properties = |spec| variable(container(&pods(&built(spec))[0]), "SERVER_PROPERTIES").unwrap();
    let small = properties("{kafka: {managed: {storage: {size: 1Gi}}}}");
    assert!(small.contains("log.segment.bytes=7516192\nlog.retention.bytes=15032385\n"), "{small}");
    assert!(small.contains("advertised.listeners=PLAINTEXT://cifar-kafka.demo.svc:9092\n"), "{small}");
    let large = properties("{kafka: {managed: {storage: {size: 1Ti}}}}");
    assert!(large.contains("log.segment.bytes=134217728\n"), "{large}");
}

#[test]
fn a_pipeline_made_anew_opens_the_volume_that_the_first_one_left() {
    let mut second = pipeline("{}");
    second.metadata.uid = Some("9b1c".into());
    let second = build(&validated(&second).unwrap(), &images());
    let first = built("{}");
    let id = |resources: &Resources| variable(container(&pods(resources)[0]), "CLUSTER_ID").unwrap();
    assert_eq!(id(&first), id(&second));
    assert_eq!(id(&first).len(), 22);
    assert_ne!(first.check.name_any(), second.check.name_any());
}

#[test]
fn ferretdb_keeps_its_databases_on_the_volume() {
    let database = built("{mongodb: {managed: {engine: FerretDB}}}").database.unwrap().spec.unwrap().template;
    let container = container(&database);
    assert_eq!(container.image.as_deref(), Some("ferretdb:1.24"));
    assert_eq!(variable(container, "FERRETDB_HANDLER").as_deref(), Some("sqlite"));
    assert_eq!(variable(container, "FERRETDB_SQLITE_URL").as_deref(), Some("file:/state/"));
    let data = container.volume_mounts.as_ref().unwrap().iter().find(|mount| mount.name == "data").unwrap();
    assert_eq!(data.mount_path, "/state");
}

#[test]
fn volumes_stay_or_go_with_the_pipeline_as_the_policy_says() {
    let owners = |spec: &str| -> Vec<_> {
        let claims = built(spec).claims.into_iter();
        claims.map(|(_, claim)| claim.metadata.owner_references.unwrap_or_default().len()).collect()
    };
    assert_eq!(owners("{}"), [0, 0]);
    assert_eq!(owners("{deletionPolicy: Delete}"), [1, 1]);
    assert_eq!(owners("{archive: {enabled: false}}"), [0]);
}

#[test]
fn a_server_mounts_the_claim_that_bears_its_name() {
    let resources = built("{}");
    for (set, (_, claim)) in [resources.kafka, resources.database].into_iter().zip(&resources.claims) {
        let set = set.unwrap().spec.unwrap();
        let volumes = set.template.spec.unwrap().volumes.unwrap();
        let data = volumes.iter().find(|volume| volume.name == "data").unwrap();
        let mounted = &data.persistent_volume_claim.as_ref().unwrap().claim_name;
        assert_eq!((mounted, set.volume_claim_templates), (&claim.name_any(), None));
    }
}

#[test]
fn jobs_are_named_after_the_volumes_they_are_about() {
    let names = |topics: &[&str], check: &[&str]| {
        let owned = |uids: &[&str]| uids.iter().map(|&uid| uid.to_owned()).collect::<Vec<_>>();
        let validated = validated(&pipeline("{}")).unwrap();
        let mut resources = build(&validated, &images());
        resources.name_jobs_after(&validated, &owned(topics), &owned(check));
        (resources.topics.name_any(), resources.check.name_any())
    };
    let (topics, check) = names(&["kafka-1"], &["kafka-1", "database-1"]);
    assert_eq!(names(&["kafka-1"], &["kafka-1", "database-2"]).0, topics);
    assert_ne!(names(&["kafka-1"], &["kafka-1", "database-2"]).1, check);
    assert_ne!(names(&["kafka-2"], &["kafka-2", "database-1"]).0, topics);
}
