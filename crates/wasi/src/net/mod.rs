//! Sockets, name lookup, and the policy that allows them.
