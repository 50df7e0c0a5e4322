//! Calls to the kernel that no program needs, by number.

use super::Attempt;
use super::Layer::{self, Capabilities, Kernel, Landlock, PidNamespace, Seccomp, UserNamespace};
use super::attempts::attempt;

/// A call: its name, its numbers on x86-64 and aarch64, its arguments in Python, and what refuses
/// it. The arguments are such that the call does no harm if it is heard: it gives an error of its
/// own, or changes nothing.
struct Call(&'static str, Option<u32>, Option<u32>, &'static str, &'static [Layer]);

/// Only the filter stands in its way.
const FILTER: &[Layer] = &[Seccomp];

/// An ordinary user is refused, too, but one with root's powers in a namespace is not.
const POWER: &[Layer] = &[Seccomp, Capabilities];

/// Whoever is under Landlock changes no mounts, whatever powers it has.
const MOUNTS: &[Layer] = &[Seccomp, Capabilities, Landlock];

/// Only root of the whole machine is heard, and root of a namespace is not.
const ROOT: &[Layer] = &[Seccomp, Capabilities, UserNamespace];

/// This kernel has none, or refuses it to everybody like us; another may not.
const RARE: &[Layer] = &[Seccomp, Kernel];

pub(super) fn attempts() -> impl Iterator<Item = Attempt> {
    CALLS.iter().map(|Call(name, x86_64, aarch64, arguments, layers)| {
        let number = |number: &Option<u32>| number.map_or("None".to_owned(), |n| n.to_string());
        let (x86_64, aarch64) = (number(x86_64), number(aarch64));
        let bare = name.split('-').next().unwrap_or(name);
        let call = format!("call({bare:?}, {x86_64}, {aarch64}, lambda: [{arguments}])");
        let program = format!("{}\n\n{call}\n", include_str!("kernel.py"));
        attempt(format!("kernel/{name}"), &format!("call {bare}"), program, layers)
    })
}

const fn both(name: &'static str, number: u32, arguments: &'static str) -> Call {
    Call(name, Some(number), Some(number), arguments, FILTER)
}

#[rustfmt::skip]
const CALLS: &[Call] = &[
    // Other processes.
    Call("ptrace-seize", Some(101), Some(117), "0x4206, sleeping_child(), 0, 0", FILTER),
    Call("ptrace-traceme", Some(101), Some(117), "0, 0, 0, 0", FILTER),
    Call("process_vm_readv", Some(310), Some(270), r#"os.getppid(), 0, 0, 0, 0, 0"#, FILTER),
    Call("process_vm_writev", Some(311), Some(271), r#"os.getppid(), 0, 0, 0, 0, 0"#, FILTER),
    both("process_madvise", 440, "-1, 0, 0, 0, 0"),
    both("process_mrelease", 448, "-1, 0"),
    Call("kcmp", Some(312), Some(272), "os.getpid(), os.getpid(), 0, 0, 0", FILTER),
    Call("pidfd_open", Some(434), Some(434), r#"HOST["pid"], 0"#, &[PidNamespace]),
    both("pidfd_getfd", 438, "-1, 0, 0"),
    Call("move_pages", Some(279), Some(239), "0, 0, 0, 0, 0, 0", FILTER),
    Call("migrate_pages", Some(256), Some(238), "0, 64, numbers(1), numbers(1)", FILTER),
    // Mounts and other trees of files.
    Call("mount", Some(165), Some(40), r#"b"none", b"/tmp", b"tmpfs", 0, 0"#, MOUNTS),
    Call("mount-remount", Some(165), Some(40), r#"b"none", b"/usr", b"none", 4128, 0"#, MOUNTS),
    Call("mount-proc", Some(165), Some(40), r#"b"proc", b"/tmp", b"proc", 0, 0"#, MOUNTS),
    Call("umount2", Some(166), Some(39), r#"b"/proc", 2"#, MOUNTS),
    Call("pivot_root", Some(155), Some(41), r#"b"/tmp", b"/tmp""#, MOUNTS),
    Call("chroot", Some(161), Some(51), r#"b"/tmp""#, POWER),
    both("open_tree", 428, r#"-100, b"/tmp", 0"#),
    Call("open_tree-clone", Some(428), Some(428), r#"-100, b"/tmp", 1"#, POWER),
    Call("move_mount", Some(429), Some(429), r#"-100, b"/tmp", -100, b"/mnt", 0"#, MOUNTS),
    Call("fsopen", Some(430), Some(430), r#"b"tmpfs", 0"#, POWER),
    both("fsconfig", 431, "-1, 0, 0, 0, 0"),
    Call("fsmount", Some(432), Some(432), "-1, 0, 0", POWER),
    Call("fspick", Some(433), Some(433), r#"-100, b"/tmp", 0"#, POWER),
    Call("mount_setattr", Some(442), Some(442), r#"-100, b"/tmp", 0, numbers(1, 0, 0, 0), 32"#, POWER),
    both("statmount", 457, "numbers(24, 0, 0), zeros(512), 512, 0"),
    both("listmount", 458, "numbers(24, 0, 0), zeros(512), 8, 0"),
    Call("name_to_handle_at", Some(303), Some(264), r#"-100, b"/tmp", zeros(256), zeros(8), 0"#, FILTER),
    Call("open_by_handle_at", Some(304), Some(265), "-100, numbers(1 << 32 | 8, 2), 0", ROOT),
    Call("quotactl", Some(179), Some(60), r#"0x80000100, b"/dev/vda", 0, 0"#, FILTER),
    both("quotactl_fd", 443, "-1, 0, 0, 0"),
    Call("acct", Some(163), Some(89), "0", ROOT),
    Call("swapon", Some(167), Some(224), r#"b"/tmp/none", 0"#, ROOT),
    Call("swapoff", Some(168), Some(225), r#"b"/tmp/none""#, ROOT),
    Call("fanotify_init", Some(300), Some(262), "0x200, 0", FILTER),
    Call("mknod", Some(133), None, r#"b"/tmp/node", 0o20666, 0x101"#, ROOT),
    Call("mknodat", Some(259), Some(33), r#"-100, b"/tmp/node", 0o20666, 0x101"#, ROOT),
    // Namespaces.
    Call("unshare-user", Some(272), Some(97), "0x10000000", FILTER),
    Call("unshare-mount", Some(272), Some(97), "0x20000", POWER),
    Call("unshare-net", Some(272), Some(97), "0x40000000", POWER),
    Call("unshare-all", Some(272), Some(97), "0x7e020000", FILTER),
    Call("setns", Some(308), Some(268), "-1, 0", FILTER),
    Call("clone-user", Some(56), Some(220), "0x10000011, 0, 0, 0, 0", FILTER),
    Call("clone-net", Some(56), Some(220), "0x40000011, 0, 0, 0, 0", POWER),
    both("clone3", 435, "numbers(0x10000000, 0, 0, 0, 17, 0, 0, 0), 64"),
    both("landlock_restrict_self", 446, "-1, 0"),
    // Code in the kernel.
    Call("bpf", Some(321), Some(280), "0, zeros(120), 120", RARE),
    Call("perf_event_open", Some(298), Some(241), "numbers(128 << 32 | 1, *[0] * 15), 0, -1, -1, 0", RARE),
    both("io_uring_setup", 425, "8, zeros(120)"),
    both("io_uring_enter", 426, "-1, 0, 0, 0, 0, 0"),
    both("io_uring_register", 427, "-1, 0, 0, 0"),
    Call("userfaultfd", Some(323), Some(282), "1", FILTER),
    Call("userfaultfd-kernel", Some(323), Some(282), "0", RARE),
    Call("kexec_load", Some(246), Some(104), "0, 0, 0, 0", RARE),
    Call("kexec_file_load", Some(320), Some(294), "-1, -1, 0, 0, 0", RARE),
    Call("init_module", Some(175), Some(105), r#"0, 0, b"""#, RARE),
    Call("finit_module", Some(313), Some(273), r#"-1, b"", 0"#, RARE),
    Call("delete_module", Some(176), Some(106), r#"b"none", 2048"#, RARE),
    Call("seccomp", Some(317), Some(277), "1, 0, 0", FILTER),
    // Keys.
    Call("keyctl", Some(250), Some(219), "0, -3, 1", FILTER),
    Call("keyctl-join", Some(250), Some(219), "1, 0", FILTER),
    Call("add_key", Some(248), Some(217), r#"b"user", b"docent", b"x", 1, -3"#, FILTER),
    Call("request_key", Some(249), Some(218), r#"b"user", b"docent", 0, 0"#, FILTER),
    // The processor and its memory.
    both("memfd_secret", 447, "0"),
    Call("modify_ldt", Some(154), None, "0, zeros(16), 16", FILTER),
    Call("iopl", Some(172), None, "3", RARE),
    Call("ioperm", Some(173), None, "0, 1, 1", RARE),
    Call("personality", Some(135), Some(92), "0x0400000", FILTER),
    Call("mbind", Some(237), Some(235), "0, 0, 0, 0, 0, 0", FILTER),
    Call("set_mempolicy", Some(238), Some(237), "0, 0, 0", FILTER),
    Call("mlockall", Some(151), Some(230), "3", FILTER),
    Call("x32", Some(0x4000_0027), None, "", RARE),
    // Clocks, names and power.
    Call("settimeofday", Some(164), Some(170), "0, zeros(8)", ROOT),
    Call("clock_settime", Some(227), Some(112), "0, numbers(0, 0)", RARE),
    Call("clock_adjtime", Some(305), Some(266), "0, zeros(208)", FILTER),
    Call("adjtimex", Some(159), Some(171), "zeros(208)", FILTER),
    Call("sethostname", Some(170), Some(161), r#"HOST["hostname"].encode(), len(HOST["hostname"])"#, POWER),
    Call("setdomainname", Some(171), Some(162), r#"b"(none)", 6"#, POWER),
    Call("reboot", Some(169), Some(142), "0xfee1dead, 672274793, 0, 0", POWER),
    Call("vhangup", Some(153), Some(58), "", ROOT),
    Call("syslog", Some(103), Some(116), "10, 0, 0", RARE),
    Call("syslog-read", Some(103), Some(116), "3, zeros(512), 512", RARE),
    // Users and priorities.
    Call("setuid", Some(105), Some(146), "0", FILTER),
    Call("setgid", Some(106), Some(144), "0", FILTER),
    Call("setreuid", Some(113), Some(145), "0, 0", FILTER),
    Call("setregid", Some(114), Some(143), "0, 0", FILTER),
    Call("setresuid", Some(117), Some(147), "0, 0, 0", FILTER),
    Call("setresgid", Some(119), Some(149), "0, 0, 0", FILTER),
    Call("setgroups", Some(116), Some(159), "1, zeros(4)", ROOT),
    Call("setfsuid", Some(122), Some(151), "0", FILTER),
    Call("capset", Some(126), Some(91), "numbers(0x20080522), numbers(0, 0, 0)", FILTER),
    Call("sched_setscheduler", Some(144), Some(119), "0, 1, zeros(3) and numbers(1)", ROOT),
    Call("sched_setattr", Some(314), Some(274), "0, numbers(48 | 1 << 32, 0, 1 << 32), 0", ROOT),
    Call("ioprio_set", Some(251), Some(30), "1, 0, 1 << 13", ROOT),
    Call("prctl-mm", Some(157), Some(167), "35, 1, 0, 0, 0", ROOT),
    Call("prctl-dumpable", Some(157), Some(167), "4, 1, 0, 0, 0", FILTER),
    Call("prctl-seccomp", Some(157), Some(167), "22, 2, 0, 0, 0", FILTER),
    Call("prctl-ptracer", Some(157), Some(167), "0x59616d61, -1, 0, 0, 0", FILTER),
    Call("prctl-keepcaps", Some(157), Some(167), "8, 1, 0, 0, 0", FILTER),
    Call("prctl-subreaper", Some(157), Some(167), "36, 1, 0, 0, 0", FILTER),
    Call("prctl-ambient", Some(157), Some(167), "47, 2, 0, 0, 0", POWER),
    Call("prctl-speculation", Some(157), Some(167), "53, 0, 2, 0, 0", FILTER),
    // Between processes.
    Call("socket", Some(41), Some(198), "1, 1, 0", FILTER),
    Call("socket-vsock", Some(41), Some(198), "40, 1, 0", FILTER),
    Call("shmget", Some(29), Some(194), "0, 4096, 0o1600", FILTER),
    Call("semget", Some(64), Some(190), "0, 1, 0o1600", FILTER),
    Call("msgget", Some(68), Some(186), "0, 0o1600", FILTER),
    Call("mq_open", Some(240), Some(180), r#"b"docent-escape", 0o102, 0o600, 0"#, FILTER),
    // What no kernel of today has.
    Call("nfsservctl", Some(180), Some(42), "0, 0, 0", RARE),
    Call("lookup_dcookie", Some(212), Some(18), "0, 0, 0", RARE),
    Call("uselib", Some(134), None, r#"b"/usr/lib/none""#, RARE),
    Call("_sysctl", Some(156), None, "0", RARE),
    Call("create_module", Some(174), None, r#"b"none", 0"#, RARE),
    Call("sysfs", Some(139), None, "3", RARE),
    Call("lsm_set_self_attr", Some(460), Some(460), "100, zeros(64), 64, 0", RARE),
];
