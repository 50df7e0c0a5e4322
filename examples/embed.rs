//! The whole of Docent inside a program: no server, no async runtime, no network.
//!
//! `cargo run --release --example embed -- report.pdf "What does it cost?"`

#![expect(clippy::print_stdout, reason = "it is a program")]

use docent::{AskOptions, Library};

fn main() -> docent::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let document = arguments.next().unwrap_or("examples/handbook/handbook.en.pdf".into());
    let question = arguments.next().unwrap_or("How long is a chunk?".into());

    let library = Library::open(std::env::temp_dir().join("docent-embed-example"))?;
    let _ = library.add(&document)?;
    library.process(&mut |_| std::ops::ControlFlow::Continue(()))?;

    let answer = library.ask(&question, AskOptions::default())?.finish()?;
    println!("{}\n", answer.text());
    for citation in answer.citations() {
        println!("{}, page {}: “{}”", citation.filename, citation.page_start, citation.quote);
    }
    Ok(())
}
