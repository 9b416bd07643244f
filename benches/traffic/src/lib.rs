//! Made-up traffic of workers. `scenario` gives it to a gate alone, without sockets; the programs in `bin` count the
//! instructions of that and send the same through real sockets.

pub mod amqp;
pub mod celery;
pub mod redis;
pub mod resp;
pub mod scenario;

mod fleet;
mod rabbitmq;
