//! How long things may take, each by name.

use std::time::Duration;

/// Finding the cluster: short, so that an address where nobody answers is seen soon.
pub const CONNECT: Duration = Duration::from_secs(10);
/// One attempt of that, after which the client is asked why: a refused login or certificate is seen early.
pub const CONNECT_ATTEMPT: Duration = Duration::from_secs(1);
/// One administrative request, retries included.
pub const ADMIN: Duration = Duration::from_secs(30);
/// One attempt of such a request.
pub const ATTEMPT: Duration = Duration::from_secs(5);
/// Pause between two attempts.
pub const PAUSE: Duration = Duration::from_millis(50);
/// How long a refused login or handshake may last before it is taken for a wrong setting: a broker that has just started
/// may not know its users yet.
pub const REFUSED_LOGIN: Duration = Duration::from_secs(3);
/// Making the internal topics and electing their leaders.
pub const CREATE_TOPICS: Duration = Duration::from_secs(30);
