//! What a program may touch of the host, told by what it imports.

/// What an import lets a guest reach, and what must be given for it to reach anything.
struct Reach {
    /// The beginning of an interface's name or of a function's in WASI 0.1; all of it, if no `*` is at its end.
    name: &'static str,
    what: &'static str,
}

/// Interfaces of WASI 0.2 and later.
const INTERFACES: &[Reach] = &[
    Reach {
        name: "wasi:filesystem/*",
        what: "files below each --dir",
    },
    Reach {
        name: "wasi:sockets/*",
        what: "the network, as far as -S inherit-network, connect= or bind= allow",
    },
    Reach {
        name: "wasi:http/outgoing-handler*",
        what: "HTTP servers elsewhere",
    },
    Reach {
        name: "wasi:http/client*",
        what: "HTTP servers elsewhere",
    },
    Reach {
        name: "wasi:cli/environment*",
        what: "its arguments, each --env, and -S inherit-env",
    },
    Reach {
        name: "wasi:cli/stdin*",
        what: "standard input",
    },
    Reach {
        name: "wasi:cli/stdout*",
        what: "standard output",
    },
    Reach {
        name: "wasi:cli/stderr*",
        what: "standard error",
    },
    Reach {
        name: "wasi:cli/terminal-*",
        what: "whether a standard stream is a terminal",
    },
    Reach {
        name: "wasi:clocks/*",
        what: "the time",
    },
    Reach {
        name: "wasi:random/*",
        what: "random numbers",
    },
];

/// Functions of WASI 0.1.
const FUNCTIONS: &[Reach] = &[
    Reach {
        name: "path_*",
        what: "files below each --dir",
    },
    Reach {
        name: "fd_readdir",
        what: "files below each --dir",
    },
    Reach {
        name: "fd_read",
        what: "standard input, and files it has opened",
    },
    Reach {
        name: "fd_write",
        what: "standard output and error, and files it has opened",
    },
    Reach {
        name: "sock_*",
        what: "sockets that it is handed",
    },
    Reach {
        name: "environ_*",
        what: "each --env, and -S inherit-env",
    },
    Reach {
        name: "args_*",
        what: "its arguments",
    },
    Reach {
        name: "clock_*",
        what: "the time",
    },
    Reach {
        name: "poll_oneoff",
        what: "the time",
    },
    Reach {
        name: "random_get",
        what: "random numbers",
    },
];

/// What the importer of these interfaces may touch, each thing once, in a fixed order.
pub fn by_interfaces<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<&'static str> {
    reached(INTERFACES, names)
}

/// What the importer of these functions of WASI 0.1 may touch.
pub fn by_functions<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<&'static str> {
    reached(FUNCTIONS, names)
}

fn reached<'a>(table: &[Reach], names: impl Iterator<Item = &'a str> + Clone) -> Vec<&'static str> {
    let mut reached = Vec::new();
    for reach in table {
        let matches = |name: &str| match reach.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == reach.name,
        };
        if names.clone().any(matches) && !reached.contains(&reach.what) {
            reached.push(reach.what);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_imported_is_nothing_touched() {
        assert!(by_interfaces(["my:own/interface"].into_iter()).is_empty());
        assert!(by_functions(["proc_exit", "sched_yield"].into_iter()).is_empty());
    }

    #[test]
    fn each_thing_is_named_once() {
        let names = [
            "wasi:filesystem/types@0.2.3",
            "wasi:filesystem/preopens@0.2.3",
            "wasi:cli/stdin@0.2.0",
        ];
        assert_eq!(
            by_interfaces(names.into_iter()),
            ["files below each --dir", "standard input"]
        );
        let names = ["path_open", "fd_readdir", "path_rename"];
        assert_eq!(by_functions(names.into_iter()), ["files below each --dir"]);
    }
}
