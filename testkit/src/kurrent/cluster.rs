//! Several doubles that stand for the nodes of one cluster.
//!
//! They share one store, so that a write is on every node at once: what a real cluster does about writes that were not
//! replicated when the leader died cannot be seen here. What can: which node a client chooses, that it finds the leader
//! again after a change, and what it does while there is none.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tonic::{Code, Status};

use super::service::not_leader;
use super::{KurrentDouble, Security, Setup, Store};

/// Who is in the cluster, as every node of it believes.
#[derive(Debug, Default)]
pub(super) struct Membership(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    nodes: Vec<Member>,
    leader: Option<usize>,
}

/// What gossip tells of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    pub(super) alive: bool,
    pub(super) leads: bool,
}

/// A node's place in its cluster.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) membership: Arc<Membership>,
    pub(super) index: usize,
}

impl Membership {
    /// A place for one more node; the first leads.
    pub(super) fn join(self: &Arc<Self>, address: SocketAddr) -> Place {
        let mut members = self.0.lock();
        let index = members.nodes.len();
        members.nodes.push(Member { address, alive: true, leads: false });
        members.leader.get_or_insert(index);
        Place { membership: Arc::clone(self), index }
    }

    pub(super) fn members(&self) -> Vec<Member> {
        let members = self.0.lock();
        let leads = |index| members.leader == Some(index);
        members.nodes.iter().enumerate().map(|(index, member)| Member { leads: leads(index), ..*member }).collect()
    }

    fn lead(&self, leader: Option<usize>) {
        self.0.lock().leader = leader;
    }

    fn set_alive(&self, index: usize, alive: bool) {
        if let Some(member) = self.0.lock().nodes.get_mut(index) {
            member.alive = alive;
        }
    }
}

impl Place {
    /// What only the leader does, another node refuses.
    pub(super) fn check_leads(&self) -> Result<(), Status> {
        let members = self.membership.members();
        if members.get(self.index).is_some_and(|member| member.leads) {
            return Ok(());
        }
        Err(match members.iter().find(|member| member.leads) {
            Some(leader) => not_leader(leader.address),
            None => Status::new(Code::Unknown, "No leader info available in response"),
        })
    }
}

/// The nodes of one cluster. The first one leads until told otherwise.
pub struct KurrentCluster {
    nodes: Vec<KurrentDouble>,
    membership: Arc<Membership>,
}

impl KurrentCluster {
    /// Starts so many nodes.
    pub async fn start(count: usize, security: Security) -> Self {
        let (store, membership) = (Arc::new(Store::default()), Arc::new(Membership::default()));
        let mut nodes = Vec::new();
        for _ in 0..count {
            let setup = Setup { security: security.clone(), ..Setup::over(Arc::clone(&store)) };
            nodes.push(KurrentDouble::listen(setup, Some(Arc::clone(&membership))).await);
        }
        Self { nodes, membership }
    }

    /// A connection string that names every node; `login` is `user:password@` or empty.
    pub fn url(&self, login: &str) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        let tls = self.nodes.first().is_some_and(KurrentDouble::is_secured);
        format!("kurrentdb://{login}{}?tls={tls}", hosts.join(","))
    }

    /// A node, from 0.
    pub fn node(&self, index: usize) -> &KurrentDouble {
        self.nodes.get(index).expect("the cluster has that node")
    }

    /// From now on this node leads, or none while they elect one.
    pub fn lead(&self, leader: Option<usize>) {
        self.membership.lead(leader);
    }

    /// A node loses its power. Who leads does not change by that.
    pub async fn kill(&mut self, index: usize) {
        self.membership.set_alive(index, false);
        self.nodes.get_mut(index).expect("the cluster has that node").kill().await;
    }

    /// A node comes back.
    pub async fn restart(&mut self, index: usize) {
        self.nodes.get_mut(index).expect("the cluster has that node").restart().await;
        self.membership.set_alive(index, true);
    }
}
