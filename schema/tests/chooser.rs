//! What stands in the place of whoever chooses: always the same.

use async_trait::async_trait;
use domain::task::{AgentChoice, AgentExclusion, AgentFactors, AgentReason, ConsideredAgent, Share};
use serde_json::json;

/// Chooses the first agent that is not left out, and finds one template, whatever is asked.
pub(crate) struct Fixed;

#[async_trait]
impl schema::Choosing for Fixed {
    async fn agent(&self, wish: schema::AgentWish) -> Result<schema::AgentAnswer, commands::Error> {
        let share = Share::of_millionths;
        let considered = |key: &str, score: u32| ConsideredAgent {
            agent: key.parse().unwrap(),
            score: share(score),
            factors: AgentFactors {
                capability: share(1_000_000),
                quality: share(600_000),
                availability: share(300_000),
                cost: share(0),
                speed: share(500_000),
            },
            running: 2,
            experience_milli: 1500,
            excluded: wish.without.contains(&key.parse().unwrap()).then_some(AgentExclusion::LeftOut),
        };
        let considered = vec![considered("drafter", 812_500), considered("reviewer", 700_000)];
        let agent = considered.iter().find(|one| one.excluded.is_none()).map(|one| one.agent.clone());
        let choice = agent.as_ref().map(|_| AgentChoice {
            reason: AgentReason::Best,
            capability: wish.capability,
            language: wish.language.clone(),
            minimum: share(600_000),
            considered: considered.clone(),
        });
        let then = wish.then.map(|then| format!(" as of {}", then.position)).unwrap_or_default();
        let told = format!("{} were left out{then}", wish.without.len());
        Ok(schema::AgentAnswer { agent, told, choice, considered })
    }

    async fn templates(&self, wish: schema::TemplateWish) -> Result<schema::TemplateAnswer, commands::Error> {
        let found = schema::FoundTemplate {
            key: "draft".to_owned(),
            score: 0.75,
            words: 0.5,
            meaning: None,
            coverage: 0.75,
            fits: true,
            matches: wish.request.split(' ').map(str::to_owned).collect(),
        };
        let missing = schema::MissingParameter {
            name: "topic".to_owned(),
            r#type: "string".to_owned(),
            title: domain::Bilingual { en: "Topic".to_owned(), ar: Some("الموضوع".to_owned()) },
            description: "".into(),
            choices: vec![],
            examples: vec![async_graphql::Json(json!("rain"))],
        };
        Ok(schema::TemplateAnswer { by_meaning: false, found: vec![found], read: Vec::new(), missing: vec![missing] })
    }

    /// Has a model asked once, by the command of the request, and tells what it was asked with.
    async fn prepare(
        &self,
        request: commands::Request,
        wish: schema::ErrandWish,
    ) -> Result<schema::Errand, commands::Error> {
        let found = schema::TemplateWish { request: wish.request.clone(), department: wish.department, first: 3 };
        let schema::TemplateAnswer { found, missing, .. } = self.templates(found).await?;
        let template = wish.template.unwrap_or_else(|| "draft".parse().unwrap());
        if template.as_str() == "nothing" {
            return Err(commands::Refused::TemplateNotFound(template).into());
        }
        let run = request.command.map(domain::CommandId::as_uuid);
        let reading = wish.model.map(|_| schema::Reading { run, ended: false, why: None, left_out: 1 });
        Ok(schema::Errand {
            template,
            fallback: wish.fallback,
            by_meaning: false,
            found,
            read: Vec::new(),
            reading,
            parameters: wish.parameters,
            missing,
        })
    }
}
