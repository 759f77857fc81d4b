//! Deliveries: what becomes of telling one webhook about one event. There is a stream for each, whose id follows from
//! both, so whoever delivers, and however often, it is one.
//!
//! Invariants: an attempt is recorded after it was made, so one that nobody recorded is made again; what was delivered is
//! delivered again only when somebody asks for it.

mod command;
mod decide;
mod event;
mod state;

pub use command::DeliveryCommand;
pub use decide::DeliveryRefusal;
pub use event::{DeliveryEvent, Source, Subject, Trouble};
pub use state::{Delivery, DeliveryStatus};

crate::decide::aggregate!(Delivery, DeliveryCommand, DeliveryEvent, DeliveryRefusal, Delivery);
