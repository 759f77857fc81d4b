//! Budgets: how much may be spent on AI platforms within a time. All of them stand in one book, so that whoever wants to
//! see them needs nothing but that; what is spent of each is kept in [purses](crate::purse).

mod command;
mod decide;
mod event;
mod state;
mod window;

pub use command::BudgetCommand;
pub use decide::BudgetRefusal;
pub use event::BudgetEvent;
pub use state::{BudgetScope, BudgetSettings, Budgets, Unit};
pub use window::Window;

crate::decide::aggregate!(Budgets, BudgetCommand, BudgetEvent, BudgetRefusal, Budget);
