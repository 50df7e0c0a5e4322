//! The Linux sandbox, in a program that is its own init.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use docent_core::{Sandbox, SandboxLimits};
    use docent_sandbox::linux::{LinuxOptions, LinuxSandbox, serve_init};
    use std::ops::ControlFlow;
    if std::env::args().nth(1).as_deref() == Some("__sandbox") {
        return serve_init();
    }
    if std::env::args().nth(1).as_deref() == Some("setup") {
        let now = std::time::Instant::now();
        let made = docent_sandbox::setup::install(
            "/var/tmp/sbhome".as_ref(),
            "python3".as_ref(),
            &mut |l| println!("| {l}"),
        );
        println!("{made:?} {:?}", now.elapsed());
        return std::process::ExitCode::SUCCESS;
    }
    let program = std::env::current_exe().unwrap();
    let mut options = LinuxOptions::new(program, vec!["__sandbox".into()]);
    if let Some(python) = std::env::args().nth(1) {
        options.python = python.into();
    }
    let now = std::time::Instant::now();
    let sandbox = LinuxSandbox::open(options).unwrap();
    println!("{:?} {:?}", sandbox.spec(), now.elapsed());
    let now = std::time::Instant::now();
    let mut session = sandbox.open(&SandboxLimits::default()).unwrap();
    println!("open {:?}", now.elapsed());
    let program = std::io::read_to_string(std::io::stdin()).unwrap();
    for part in program.split("\n---\n") {
        let now = std::time::Instant::now();
        let got = session.run(part, &mut |t| {
            print!("{t}");
            ControlFlow::Continue(())
        });
        println!(
            "{:?} {:?}",
            got.map(|mut g| {
                g.images.iter_mut().for_each(|i| i.truncate(8));
                g
            }),
            now.elapsed()
        );
    }
    let now = std::time::Instant::now();
    drop(session);
    println!("close {:?}", now.elapsed());
    std::process::ExitCode::SUCCESS
}

#[cfg(not(target_os = "linux"))]
fn main() {}
