//! The contract, sentence by sentence, against the real binary over real sockets.

mod support;
