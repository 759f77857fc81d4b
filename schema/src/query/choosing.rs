//! What would be chosen.

use async_graphql::{Context, Object, Result};

use crate::as_of::{self, AsOf, open};
use crate::choosing::{AgentChoiceInput, AgentWish, FoundTemplates, TemplateWish, Then, WouldChoose, chooser};
use crate::errand::LONGEST_REQUEST;
use crate::failure;
use crate::query::fresh;
use crate::scalar::Position;

/// How many templates are found at most.
const MOST: usize = 50;

/// Choosing.
#[derive(Default)]
pub(super) struct Choosing;

#[Object]
impl Choosing {
    /// Who would do a task now if it were left to the engine, and what that is decided from: as the engine chooses for
    /// `agent: auto`, with what is recorded of every agent and the platforms as the node that answers sees them. As of the past:
    /// who would have done it, by what had been recorded then of agents, their tasks and the template. How platforms were doing is
    /// recorded nowhere, so of the past they count as able to answer; by what is chosen is configured, and is as it is now.
    #[graphql(complexity = "50 + child_complexity")]
    async fn agent_choice(
        &self,
        context: &Context<'_>,
        input: AgentChoiceInput,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<WouldChoose> {
        let key = |name: &'static str, text: &str| {
            text.parse::<domain::Key>().map_err(|error| failure::invalid(format!("`{name}`: {error}")))
        };
        let wish = AgentWish {
            template: input.template.map(|text| key("template", &text)).transpose()?,
            capability: input.capability.map(domain::Capability::from),
            language: input.language,
            department: input.department,
            without: input.without.iter().map(|text| key("without", text)).collect::<Result<_>>()?,
            then: match as_of {
                None => {
                    wanted(context, min_position).await?;
                    None
                }
                Some(_) => {
                    let position = open(context, min_position, as_of).await?.position;
                    Some(Then { position, moment: as_of::moment(context).await? })
                }
            },
        };
        let answer = chooser(context)?.agent(wish).await;
        Ok(answer.map_err(|error| failure::command(context, error))?.into())
    }

    /// The templates that do what is asked for, in English or Arabic, the best first, and what has to be asked back for
    /// the first. Scores compare the templates of one answer with each other. The request is not kept.
    #[graphql(complexity = "50 + crate::page::cost(first, None, child_complexity)")]
    async fn find_templates(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What you want done, in your own words.")] request: String,
        #[graphql(desc = "Only templates of this department.")] department: Option<String>,
        #[graphql(desc = "How many at most, 1 to 50; 5 when not given.")] first: Option<i32>,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
    ) -> Result<FoundTemplates> {
        wanted(context, min_position).await?;
        if request.trim().is_empty() || request.chars().count() > LONGEST_REQUEST {
            let what = format!("`request` must have 1 to {LONGEST_REQUEST} characters");
            return Err(failure::invalid(what));
        }
        let first = usize::try_from(first.unwrap_or(5)).ok().filter(|first| (1..=MOST).contains(first));
        let Some(first) = first else {
            return Err(failure::invalid(format!("`first` must be 1 to {MOST}")));
        };
        let answer = chooser(context)?.templates(TemplateWish { request, department, first }).await;
        Ok(answer.map_err(|error| failure::command(context, error))?.into())
    }
}

/// Waits for what the caller wants to see. What is chosen and found is told from the journal; agents and templates are shown
/// as the read models have them.
async fn wanted(context: &Context<'_>, position: Option<Position>) -> Result<()> {
    match position {
        Some(_) => fresh(context, position).await.map(|_| ()),
        None => Ok(()),
    }
}
