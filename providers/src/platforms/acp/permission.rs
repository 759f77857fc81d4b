use agent_client_protocol::v1::schema::{
    PermissionOptionKind, RequestPermissionOutcome, RequestPermissionRequest, SelectedPermissionOutcome, ToolKind,
};

/// What an agent may do when it asks: nothing but what is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    allowed: Vec<ToolKind>,
}

/// A kind of action that the protocol does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no kind of action; there are {}", Permissions::NAMES.map(|(name, _)| name).join(", "))]
pub struct UnknownAction {
    /// What was named.
    pub name: String,
}

impl Permissions {
    /// The protocol's kinds of actions.
    const NAMES: [(&str, ToolKind); 10] = [
        ("read", ToolKind::Read),
        ("edit", ToolKind::Edit),
        ("delete", ToolKind::Delete),
        ("move", ToolKind::Move),
        ("search", ToolKind::Search),
        ("execute", ToolKind::Execute),
        ("think", ToolKind::Think),
        ("fetch", ToolKind::Fetch),
        ("switch_mode", ToolKind::SwitchMode),
        ("other", ToolKind::Other),
    ];

    /// Those that are named: `read`, `edit`, `delete`, `move`, `search`, `execute`, `think`, `fetch`, `switch_mode`, and `other`,
    /// which is also what is of no kind.
    ///
    /// # Errors
    /// When the protocol has no such kind.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownAction> {
        let kind = |name: &str| {
            let known = Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
            known.ok_or_else(|| UnknownAction { name: name.to_owned() })
        };
        Ok(Self { allowed: names.into_iter().map(kind).collect::<Result<_, _>>()? })
    }

    /// What is answered: once and for this action alone where it is allowed, and no otherwise.
    pub(super) fn decide(&self, request: &RequestPermissionRequest) -> RequestPermissionOutcome {
        let kind = request.tool_call.fields.kind.unwrap_or(ToolKind::Other);
        let allowed = self.allowed.contains(&kind);
        let wanted: &[PermissionOptionKind] = if allowed {
            &[PermissionOptionKind::AllowOnce]
        } else {
            &[PermissionOptionKind::RejectOnce, PermissionOptionKind::RejectAlways]
        };
        let option = wanted.iter().find_map(|wanted| request.options.iter().find(|option| option.kind == *wanted));
        tracing::info!(action = ?kind, allowed = allowed && option.is_some(), "an agent asked for permission");
        option.map_or(RequestPermissionOutcome::Cancelled, |option| {
            RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(option.option_id.clone()))
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use agent_client_protocol::v1::schema::{PermissionOption, ToolCallUpdate, ToolCallUpdateFields};

    use super::*;

    fn asked(kind: Option<ToolKind>, options: &[(&'static str, PermissionOptionKind)]) -> RequestPermissionRequest {
        let mut fields = ToolCallUpdateFields::new();
        fields.kind = kind;
        let options = options.iter().map(|(id, kind)| PermissionOption::new(*id, *id, *kind)).collect();
        RequestPermissionRequest::new("session", ToolCallUpdate::new("call", fields), options)
    }

    fn chosen(permissions: &Permissions, request: &RequestPermissionRequest) -> Option<String> {
        match permissions.decide(request) {
            RequestPermissionOutcome::Selected(selected) => Some(selected.option_id.to_string()),
            _ => None,
        }
    }

    #[test]
    fn only_what_is_named_is_allowed_and_only_once() {
        use PermissionOptionKind::{AllowAlways, AllowOnce, RejectAlways, RejectOnce};
        let all = [("ever", AllowAlways), ("once", AllowOnce), ("never", RejectAlways), ("no", RejectOnce)];
        let reads = Permissions::named(["read"]).unwrap();
        assert_eq!(chosen(&reads, &asked(Some(ToolKind::Read), &all)).as_deref(), Some("once"));
        assert_eq!(chosen(&reads, &asked(Some(ToolKind::Edit), &all)).as_deref(), Some("no"));
        assert_eq!(chosen(&reads, &asked(None, &all)).as_deref(), Some("no"), "what is of no kind is not a read");
        let nothing = Permissions::default();
        assert_eq!(chosen(&nothing, &asked(Some(ToolKind::Read), &all)).as_deref(), Some("no"));
        assert_eq!(chosen(&nothing, &asked(None, &all[..3])).as_deref(), Some("never"));
        // Where neither can be chosen, the question is not answered.
        assert_eq!(chosen(&reads, &asked(Some(ToolKind::Read), &[("ever", AllowAlways)])), None);
        assert_eq!(chosen(&nothing, &asked(None, &[("once", AllowOnce)])), None);
        assert!(Permissions::named(["everything"]).unwrap_err().to_string().contains("switch_mode"));
    }
}
