//! What users put on pods, and what pods have without it.

use super::*;

#[test]
fn what_the_users_resources_leave_out_is_a_memory_limit() {
    let spec = "{inference: {resources: {requests: {cpu: '2', memory: 1Gi}}}}";
    let classifier = built(spec).inference.remove(0).1.spec.unwrap().template;
    let resources = container(&classifier).resources.clone().unwrap();
    assert_eq!(resources.limits.unwrap()["memory"].0, "1Gi");
    assert_eq!(resources.requests.unwrap()["cpu"].0, "2");
}

#[test]
fn every_field_of_every_pod_template_reaches_the_pods_of_its_part() {
    let templates = pod_templates("pipelines");
    let mark = |path: &[String]| path.join("-").to_lowercase();
    let mut reached = BTreeSet::new();
    for (topology, left_out) in [("Fused", "serviceAccountName"), ("Split", "serviceAccountAnnotations")] {
        let mut wanted = pipeline("{}");
        let mut spec = json!({ "inference": { "topology": topology } });
        let mut marks_of = BTreeMap::new();
        for (path, schema) in &templates {
            let mut template = sample(schema, &mark(path));
            template.as_object_mut().unwrap().remove(left_out);
            marks_of.insert(mark(path), marks(&template, &mark(path)));
            write(&mut spec, path, template);
        }
        wanted.spec = serde_json::from_value(spec).unwrap();
        let resources = build(&validated(&wanted).unwrap(), &images());
        let accounts: BTreeMap<_, _> =
            resources.permissions.accounts.iter().map(|account| (account.name_any(), account)).collect();
        for pod in pods(&resources) {
            let account = pod.spec.as_ref().unwrap().service_account_name.as_ref().and_then(|name| accounts.get(name));
            let text = serde_json::to_string(&(&pod, account)).unwrap();
            let name = &container(&pod).name;
            let found: Vec<_> = marks_of.iter().filter(|(mark, _)| text.contains(&format!("\"{mark}."))).collect();
            let [(mark, marks)] = found[..] else { panic!("{name} has {} templates, not one", found.len()) };
            let missing: Vec<_> = marks.iter().filter(|mark| !text.contains(&format!("\"{mark}\""))).collect();
            assert!(missing.is_empty(), "{name}: {missing:?} did not reach {text}");
            reached.insert(mark.clone());
        }
    }
    let all: BTreeSet<_> = templates.iter().map(|(path, _)| mark(path)).collect();
    assert_eq!(reached, all, "every template is that of a part");
}

#[test]
fn the_workers_may_report_under_whichever_accounts_they_run() {
    for spec in [
        "{}",
        SPLIT,
        "{inference: {podTemplate: {serviceAccountName: gpu}}}",
        "{archive: {podTemplate: {serviceAccountAnnotations: {role: a}}}, inference: {topology: Split}}",
    ] {
        let resources = built(spec);
        let subjects = resources.permissions.binding.subjects.clone().unwrap();
        let permitted: BTreeSet<_> = subjects.into_iter().map(|subject| subject.name).collect();
        let with_token =
            |pod: &PodTemplateSpec| pod.spec.as_ref().unwrap().automount_service_account_token == Some(true);
        let reporters = pods(&resources).into_iter().filter(with_token);
        let accounts: BTreeSet<_> = reporters.map(|pod| pod.spec.unwrap().service_account_name.unwrap()).collect();
        assert_eq!(permitted, accounts, "{spec}");
    }
}

#[test]
fn what_is_written_beside_a_template_reaches_the_same_pods() {
    let resources = "resources: {requests: {cpu: 700m}, limits: {memory: 900Mi}}";
    let nodes = "nodeSelector: {disk: fast}, tolerations: [{key: gpu, operator: Exists}]";
    for (beside, within) in [
        (
            format!("{{kafka: {{managed: {{{resources}}}}}}}"),
            format!("{{kafka: {{managed: {{podTemplate: {{{resources}}}}}}}}}"),
        ),
        (
            format!("{{mongodb: {{managed: {{{resources}}}}}}}"),
            format!("{{mongodb: {{managed: {{podTemplate: {{{resources}}}}}}}}}"),
        ),
        (
            format!("{{inference: {{{resources}, {nodes}}}}}"),
            format!("{{inference: {{podTemplate: {{{resources}, {nodes}}}}}}}"),
        ),
    ] {
        assert_eq!(pods(&built(&beside)), pods(&built(&within)), "{beside}");
        assert_ne!(pods(&built(&beside)), pods(&built("{}")), "{beside}");
    }
}

#[test]
fn pods_have_what_all_pods_inherit_and_workers_log_as_the_operator_does() {
    let mut settings = settings();
    settings.pods =
        serde_json::from_value(json!({ "labels": { "team": "vision" }, "priorityClassName": "low" })).unwrap();
    settings.log.level = "debug".into();
    let spec = "{archive: {podTemplate: {priorityClassName: high}}}";
    let resources = build(&validate(&pipeline(spec), &settings).unwrap(), &settings.images);
    for pod in pods(&resources) {
        let container = container(&pod);
        let name = container.name.as_str();
        assert_eq!(pod.metadata.as_ref().unwrap().labels.as_ref().unwrap()["team"], "vision", "{name}");
        let priority = if name == "archive" { "high" } else { "low" };
        assert_eq!(pod.spec.as_ref().unwrap().priority_class_name.as_deref(), Some(priority), "{name}");
        let level = (!["kafka", "database"].contains(&name)).then(|| "debug".to_owned());
        assert_eq!(variable(container, "RUST_LOG"), level, "{name}");
        let format = level.map(|_| "text".to_owned());
        assert_eq!(variable(container, "TAILRACE_LOG_FORMAT"), format, "{name}");
    }
}

#[test]
fn a_pipeline_with_its_jobs_and_three_producers_fits_into_three_quarters_of_a_cpu() {
    for spec in ["{}", SPLIT] {
        let of_pipeline: u64 = pods(&built(spec)).iter().map(cpu_request).sum();
        let producers = 3 * Defaults::of(Component::Producer).cpu_request;
        let bridge = if spec == SPLIT { Defaults::of(Component::InferenceConsumer).cpu_request } else { 0 };
        assert!(of_pipeline + producers <= 750 + bridge, "{spec}: {of_pipeline}m and {producers}m of CPU");
    }
}

/// In thousandths of a CPU.
fn cpu_request(pod: &PodTemplateSpec) -> u64 {
    let requests = container(pod).resources.clone().unwrap().requests.unwrap();
    requests["cpu"].0.strip_suffix('m').unwrap().parse().unwrap()
}

#[test]
fn a_quantity_that_is_none_is_named_where_it_is_written() {
    for (spec, field) in [
        (
            "{archive: {podTemplate: {resources: {limits: {cpu: much}}}}}",
            "spec.archive.podTemplate.resources.limits.cpu",
        ),
        ("{inference: {resources: {requests: {cpu: 2 cores}}}}", "spec.inference.resources.requests.cpu"),
    ] {
        let refusal = validated(&pipeline(spec)).unwrap_err().to_string();
        assert!(refusal.starts_with(field), "{refusal}");
    }
}
