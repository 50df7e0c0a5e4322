//! Attempts on what is shared with others: time, memory, room, processes, and the host's patience
//! with what it is told.

use super::super::Layer::{
    Landlock, Memory, MountNamespace, PidNamespace, Protocol, Quota, Rlimits, Seccomp, Watchdog,
};
use super::{Chapter, Row};

/// What a session survives.
#[rustfmt::skip]
pub(super) const WELL: &[Chapter] = &[
    Chapter("processes", include_str!("../processes.py"), &[
        Row("fork-bomb", "have more children than it may", "fork_bomb()", &[Rlimits]),
        Row("recursive-bomb", "have children that have children", "recursive_bomb()", &[Rlimits]),
        Row("shell-bomb", "the same in a shell", "shell_bomb()", &[Rlimits]),
        Row("threads", "have more threads than it may", "threads()", &[Rlimits]),
    ]),
    Chapter("disk", include_str!("../disk.py"), &[
        Row("many", "fill the folders by many files", "fills(many)", &[Quota]),
        Row("single", "fill them by one file", "fills(single)", &[Quota, Rlimits]),
        Row("unlinked", "fill them by files without names", "fills(unlinked)", &[Quota]),
        Row("allocated", "reserve more than there is", "fills(allocated)", &[Quota, Rlimits]),
        Row("inodes", "make more files than it may", "fills(numbers)", &[Quota]),
        Row("folders", "make more folders than it may", "fills(folders)", &[Quota]),
        Row("links", "fill memory by long links", "fills(long_links)", &[Quota]),
        Row("hard-links", "fill memory by names of one file", "fills(hard_links)", &[Quota]),
        Row("attributes", "fill memory by attributes of files", "fills(attributes)", &[Seccomp, Quota]),
        Row("elsewhere", "fill any other place", "fills_elsewhere()", &[MountNamespace, Landlock]),
    ]),
    Chapter("memory", include_str!("../memory.py"), &[
        Row("descriptors", "open more than it may", "descriptors_without_end()", &[Rlimits]),
    ]),
];

/// What never ends, so that somebody must stop it.
#[rustfmt::skip]
pub(super) const STOPPED: &[Chapter] = &[Chapter("endless", include_str!("../endless.py"), &[
    Row("loop", "never end", "loop()", &[Watchdog]),
    Row("sleep", "sleep for ever", "sleep()", &[Watchdog]),
    Row("regex", "loop in C", "regular_expression()", &[Watchdog]),
    Row("number", "loop in C and hear nothing", "large_number()", &[Watchdog]),
    Row("sum", "loop in C over numbers", "sum_in_c()", &[Watchdog]),
    Row("deaf", "ignore signals", "deaf()", &[Watchdog]),
    Row("blocked", "block signals", "blocked()", &[Watchdog]),
    Row("swallowing", "catch every interruption", "swallowing()", &[Watchdog]),
    Row("stopped", "stop itself", "stopped()", &[Watchdog]),
    Row("stopped-in-vain", "be stopped again and again", "stopped_in_vain()", &[Watchdog]),
    Row("thread", "wait for a thread", "waiting_for_a_thread()", &[Watchdog]),
    Row("lock", "wait for a lock", "waiting_for_a_lock()", &[Watchdog]),
    Row("child", "wait for a child", "waiting_for_a_child()", &[Watchdog]),
    Row("pipe", "wait for a pipe", "reading_a_pipe()", &[Watchdog]),
    Row("value", "have a value that never ends", "EndlessValue()", &[Watchdog]),
    Row("error", "raise an error that never ends", "endless_error()", &[Watchdog]),
    Row("trace", "never end in a trace", "endless_trace()", &[Watchdog]),
    Row("import", "never end in an import", "endless_import()", &[Watchdog]),
    Row("interruption", "never end in the interruption", "endless_interruption()", &[Watchdog]),
    Row("print", "print for ever", "printing()", &[Watchdog, Protocol]),
])];

/// What a session need not survive.
#[rustfmt::skip]
pub(super) const SOMEHOW: &[Chapter] = &[
    Chapter("memory", include_str!("../memory.py"), &[
        Row("heap", "take more memory than it may", "heap()", &[Memory]),
        Row("private-map", "map it", "mappings(False)", &[Memory]),
        Row("shared-map", "map it, shared", "mappings(True)", &[Seccomp, Memory]),
        Row("hidden-map", "write to a mapping and look away", "hidden()", &[Seccomp]),
        Row("hidden-device", "the same of the zero device", "hidden('/dev/zero')", &[MountNamespace]),
        Row("children", "take it by forty children", "family()", &[Memory]),
        Row("page-tables", "take it by tables of pages", "sparse_mapping()", &[Rlimits, Memory]),
        Row("memfd", "take it by files without a place", "anonymous_files()", &[Seccomp, Rlimits]),
        Row("pipes", "take it by filling pipes", "in_the_kernel(fill_pipes)", &[Rlimits]),
        Row("sockets", "take it by filling pairs of sockets", "in_the_kernel(fill_sockets)", &[Memory]),
        Row("value", "have a value of 300 MB", "growing_value()", &[Rlimits, Memory, Protocol]),
        Row("error", "raise an error of 300 MB", "growing_error()", &[Rlimits, Memory, Protocol]),
    ]),
    Chapter("disk", include_str!("../disk.py"), &[
        Row("mapped", "fill a file through memory", "fills(mapped)", &[Quota, Rlimits]),
    ]),
    Chapter("kernel", include_str!("../kernel.py"), &[
        Row("int80", "call as 32-bit programs do", "old_calls()", &[Seccomp]),
    ]),
    Chapter("output", include_str!("../output.py"), &[
        Row("figures", "draw 300 figures", "many_figures()", &[Protocol]),
        Row("figure", "draw a figure of 60,000 pixels a side", "one_large_figure()", &[Memory, Protocol]),
        Row("false-figures", "hand in figures of 200 MB that are none", "figures_that_lie()", &[Memory, Protocol]),
    ]),
];

/// The same in two seconds.
#[rustfmt::skip]
pub(super) const BRIEF: &[Chapter] = &[
    Chapter("endless", include_str!("../endless.py"), &[
        Row("end", "have an end that never ends", "endless_end()", &[Watchdog]),
        Row("fifo", "wait for a fifo", "reading_a_fifo()", &[Watchdog]),
        Row("exit", "never end at the end", "endless_exit()", &[Watchdog]),
        Row("figure", "never end in saving a figure", "endless_figure()", &[Watchdog]),
    ]),
    Chapter("output", include_str!("../output.py"), &[
        Row("lines", "print 100 MB", "hundred_megabytes()", &[Protocol]),
        Row("line", "print 100 MB at once", "one_line()", &[Protocol]),
        Row("streams", "print to both streams", "both_streams()", &[Protocol]),
        Row("ever", "print for ever", "for_ever()", &[Protocol, Watchdog]),
        Row("bytes", "print what is no text", "bytes_that_are_no_text()", &[Protocol]),
        Row("halves", "print halves of characters", "halves()", &[Protocol]),
        Row("nothing", "print nothing a million times", "nothing_at_all()", &[Protocol]),
    ]),
    Chapter("protocol", include_str!("../protocol.py"), &[
        Row("garbage", "write garbage wherever it can", "garbage()", &[Protocol]),
        Row("text", "write another protocol's words", "text()", &[Protocol]),
        Row("zeros", "write zeros", "nothing_but_zeros()", &[Protocol]),
        Row("oversize", "announce frames too large", "too_long_frames()", &[Protocol]),
        Row("half-frame", "write half a frame", "half_a_frame()", &[Protocol]),
        Row("half-length", "write half a length", "half_a_length()", &[Protocol]),
        Row("forged", "write results of its own", "forged_results()", &[Protocol]),
        Row("deep-json", "write JSON without a bottom", "deep_json()", &[Protocol]),
        Row("flood", "write frames for ever", "flood()", &[Protocol]),
        Row("trickle", "write a byte a moment", "trickle()", &[Protocol]),
        Row("child", "let a child write", "child_talks()", &[Protocol, PidNamespace]),
        Row("steal", "read what the host says", "steals_requests()", &[Protocol, Watchdog]),
        Row("true-nonce", "change the driver's own results", "changes_results()", &[Protocol]),
        Row("many-figures", "hand in a figure ninety thousand times", "figures_without_end()", &[Protocol]),
        Row("long-result", "hand in a result of many megabytes", "long_results()", &[Protocol]),
        Row("descriptors", "send the host descriptors", "sends_descriptors()", &[Protocol]),
        Row("non-blocking", "change the line's mode", "blocks_the_line()", &[Protocol]),
        Row("close-lines", "close the line", "closes_all()", &[Protocol]),
        Row("close-streams", "close the streams", "closes_the_streams()", &[Protocol]),
        Row("close-all", "close everything", "closes_everything()", &[Protocol]),
        Row("exchange", "exchange all descriptors", "exchanges_all()", &[Protocol]),
        Row("kept-open", "end while a child keeps the line open", "keeps_the_line_open()", &[Protocol, Watchdog, PidNamespace]),
        Row("end", "end the interpreter", "ends()", &[Protocol]),
        Row("end-thread", "end it in a thread", "ends_in_a_thread()", &[Protocol]),
        Row("kill", "kill itself", "kills_itself()", &[Protocol]),
        Row("abort", "abort", "aborts()", &[Protocol]),
        Row("segfault", "read where nothing is", "falls()", &[Protocol]),
        Row("stack", "fall off the stack", "falls_on_its_stack()", &[Protocol]),
        Row("exec", "become another program", "becomes_another()", &[Protocol, Watchdog]),
        Row("parent", "ask its parent to end", "asks_parent_to_end()", &[PidNamespace, Protocol]),
        Row("builtins", "exchange what the driver calls", "spoils_the_modules()", &[Protocol]),
        Row("no-builtins", "take away what the driver calls", "removes_the_builtins()", &[Protocol]),
        Row("json", "exchange how the driver writes", "spoils_json()", &[Protocol, Watchdog]),
        Row("driver", "change the driver's variables", "spoils_the_driver()", &[Protocol]),
        Row("streams", "take away streams and modules", "spoils_the_loop()", &[Protocol]),
        Row("limits", "lower its limits to nothing", "spoils_its_limits()", &[Protocol]),
        Row("no-memory", "allow itself no memory", "takes_its_memory()", &[Protocol]),
        Row("no-time", "allow itself no time", "takes_its_time()", &[Protocol, Watchdog]),
        Row("value", "write results while its value is shown", "forges_from_a_value()", &[Protocol]),
        Row("traceless", "raise what ends when looked at", "raises_strangely()", &[Protocol]),
        Row("base", "raise what nobody catches", "raises_a_base()", &[Protocol]),
        Row("interrupt", "raise an interruption", "raises_an_interruption()", &[Protocol]),
        Row("generator", "raise a generator's end", "raises_a_generator_exit()", &[Protocol]),
        Row("cycle", "raise errors that cause each other", "raises_a_cycle()", &[Protocol]),
        Row("many", "raise ten thousand errors", "raises_many()", &[Protocol]),
        Row("chain", "raise errors over errors", "raises_deeply()", &[Protocol]),
    ]),
];
