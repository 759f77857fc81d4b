//! What somebody changed behind our back is named.

use bytes::Bytes;
use journal::chain::Fault;
use journal::{Expected, Journal};
use testkit::kurrent::{KurrentDouble, Written};

use crate::backend::KurrentNode;
use crate::conformance::everything;
use crate::sample::{agent, append};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_event_is_named() {
    let flip = |bytes: &Bytes, at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    type Change = Box<dyn Fn(&mut Written)>;
    let changes: [Change; 4] = [
        Box::new(move |event| event.data = flip(&event.data, 3)),
        Box::new(move |event| event.metadata = flip(&event.metadata, 20)),
        Box::new(|event| event.metadata = Bytes::new()),
        Box::new(|event| event.event_type = "agent.enabled".to_owned()),
    ];
    for change in changes {
        let double = KurrentDouble::start().await;
        let node = KurrentNode::open(&double.url()).await;
        let stream = agent();
        for _ in 0..3 {
            node.journal.append(append(stream, Expected::Any, &["text"])).await.unwrap();
        }
        let position = everything(&node.journal).await[1].position;
        double.store().tamper(position.as_u64(), change);
        let report = journal::chain::verify(&node.journal).await.unwrap();
        assert!(
            report
                .findings
                .iter()
                .any(|found| found.position == position && matches!(found.fault, Fault::WrongHash { .. })),
            "{report:#?}"
        );
        node.stop().await;
    }
}
