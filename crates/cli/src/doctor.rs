//! `docent doctor`: is every promise about what is stored kept?

use std::io::Write;

use anyhow::Result;
use docent::{Finding, Repair};
use serde::Serialize;

use crate::args;
use crate::console::{BAD, Console, GOOD, plain, write_json};
use crate::outcome::Outcome;
use crate::setup::{Setup, Weights};

pub(crate) fn run(args: &args::Doctor, setup: &Setup) -> Result<Outcome> {
    let library = setup.existing(Weights::IfHere)?;
    let repair = if args.repair { Repair::Yes } else { Repair::No };
    let findings = library.check(repair)?;
    if args.json {
        write_json(&findings.iter().map(Json::new).collect::<Vec<_>>())?;
    } else {
        write(&findings, repair, &setup.console)?;
    }
    let mended = findings.iter().all(|finding| finding.repaired);
    Ok(if mended { Outcome::Done } else { Outcome::FoundWrong })
}

fn write(findings: &[Finding], repair: Repair, console: &Console) -> Result<()> {
    let mut out = console.out();
    for finding in findings {
        let (style, word) = if finding.repaired { (GOOD, "repaired") } else { (BAD, "wrong") };
        let (subject, problem) = (plain::line(&finding.subject), plain::joined(&finding.problem));
        writeln!(out, "{style}{word}{style:#}  {subject}: {problem}")?;
    }
    let wrong = findings.iter().filter(|finding| !finding.repaired).count();
    if findings.is_empty() {
        writeln!(out, "all is well")?;
    } else if wrong > 0 && repair == Repair::No {
        drop(out);
        console.note("\"docent doctor --repair\" mends what can be mended");
    }
    Ok(())
}

#[derive(Serialize)]
struct Json<'a> {
    subject: &'a str,
    problem: &'a str,
    repaired: bool,
}

impl<'a> Json<'a> {
    fn new(finding: &'a Finding) -> Self {
        let Finding { subject, problem, repaired, .. } = finding;
        Self { subject, problem, repaired: *repaired }
    }
}
