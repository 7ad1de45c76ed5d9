//! Both controllers together: the test plays only the Pipeline and the producers.

use std::sync::Arc;

use tailrace_crds::{Experiment, experiment::Phase, load_test};
use tailrace_operator::{context::Context, experiment, load_test as load_tests};
use tokio_util::sync::CancellationToken;

use crate::{
    load_tests::yaml,
    producers::{Run, namespace, play, ready_pipeline},
    support::Operator,
};

async fn both(context: Arc<Context>, shutdown: CancellationToken) {
    tokio::join!(
        load_tests::controller(context.clone(), shutdown.clone()),
        experiment::controller(context.clone(), shutdown),
    );
}

#[tokio::test]
async fn a_sweep_goes_from_producers_to_its_table() {
    let namespace = namespace().await;
    ready_pipeline(&namespace).await;
    let _operator = Operator::start(&namespace, both);
    let template = "{pipelineRef: {name: cifar}, load: {closed: {}}, warmup: 300ms, duration: 1s, drainTimeout: 1s, \
                     slos: [{metric: P95, max: 8ms}]}";
    let spec = format!("{{sweep: {{producers: [1, 2]}}, coolDown: 0s, template: {template}}}");
    namespace.create_yaml::<Experiment>(&yaml("whole", &spec)).await;
    play(&namespace, "whole-1-01-1", &[Run::of(300, 4_000)]).await;
    play(&namespace, "whole-1-02-1", &[Run::of(300, 9_000), Run::of(300, 9_000)]).await;

    let over = |experiment: &Experiment| experiment.status.as_ref().is_some_and(|status| status.phase.is_final());
    let status = namespace.until::<Experiment>("whole", "over", over).await.status.unwrap();
    assert_eq!(status.phase, Phase::Failed, "the second LoadTest misses its SLO");
    let sentence = "1 of 2 LoadTests did not succeed; LoadTest \"whole-1-02-1\" did not succeed: P95 is 9.007ms and was to \
                    be at most 8ms";
    assert_eq!(status.message.as_deref(), Some(sentence));
    let phases: Vec<_> = status.points.iter().map(|point| point.runs[0].phase).collect();
    assert_eq!(phases, [load_test::Phase::Succeeded, load_test::Phase::Failed]);
    assert_eq!(status.points.iter().map(|point| point.valid_runs).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(status.display.unwrap().p95.as_deref(), Some("4.0ms"));
}
