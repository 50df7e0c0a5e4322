//! Tables and figures, where there are the packages for them.

use std::time::Duration;

use docent_core::{Execution, ProgramEnd, Result, Sandbox, SandboxLimits, Session};

use super::{Check, Checked, Kept, Needs, check, limits, path, put, run, same, that, value};

pub(super) const CHECKS: &[Check] = &[
    check("pandas adds up a table", pandas_adds_up).needing(Needs::Package("pandas")),
    check("workbooks are written and read", workbooks).needing(Needs::Package("openpyxl")),
    check("figures come as PNG in order", figures_in_order).needing(Needs::Package("matplotlib")),
    check("a figure is shown once", a_figure_is_shown_once).needing(Needs::Package("matplotlib")),
    check("a figure can be a file", a_figure_can_be_a_file).needing(Needs::Package("matplotlib")),
    check("Chinese labels are drawn", chinese_labels).needing(Needs::Package("matplotlib")),
];

const SALES: &str = "\
month,region,sales
2026-01,North,41200
2026-01,South,38650
2026-02,North,52300
2026-02,South,49950
";

/// What is imported for the first time may take its time.
fn patient(sandbox: &dyn Sandbox) -> Result<Box<dyn Session>> {
    sandbox.open(&SandboxLimits {
        time: Duration::from_secs(180),
        memory_bytes: 1 << 30,
        data_bytes: 64 << 20,
        ..limits()
    })
}

fn draw(session: &mut dyn Session, program: &str) -> Checked<Execution> {
    let execution = run(session, program)?;
    same("how it ended", &execution.end, &ProgramEnd::Completed)?;
    for image in &execution.images {
        let png =
            image.starts_with(b"\x89PNG\r\n\x1a\n") && image.ends_with(b"IEND\xae\x42\x60\x82");
        that(png, || format!("{} bytes are no whole PNG", image.len()))?;
    }
    Ok(execution)
}

/// The sides of a PNG, which stand at the head of its first chunk.
fn sides(image: &[u8]) -> (u32, u32) {
    let number = |at: usize| image[at..at + 4].iter().fold(0, |n, &byte| n << 8 | u32::from(byte));
    (number(16), number(20))
}

fn pandas_adds_up(sandbox: &dyn Sandbox) -> Checked {
    let mut session = patient(sandbox)?;
    put(&mut *session, "file-sales", SALES.as_bytes())?;
    let program = "\
import pandas as pd
table = pd.read_csv('/mnt/data/file-sales')
print(table['sales'].sum())
print(table.groupby('region')['sales'].sum().to_dict())";
    let execution = run(&mut *session, program)?;
    same("how it ended", &execution.end, &ProgramEnd::Completed)?;
    let expected = "182100\n{'North': 93500, 'South': 88600}\n";
    same("its logs", &execution.logs.as_str(), &expected)?;
    let shown = value(&mut *session, "table.head(1)")?.unwrap_or_default();
    that(shown.contains("41200"), || format!("a table's value is {shown:?}"))
}

fn workbooks(sandbox: &dyn Sandbox) -> Checked {
    let mut session = patient(sandbox)?;
    let program = "\
from openpyxl import Workbook, load_workbook
book = Workbook()
book.active.append(['销售', 5])
book.save('/mnt/data/out.xlsx')
load_workbook('/mnt/data/out.xlsx').active['A1'].value";
    same("a cell", &value(&mut *session, program)?.as_deref(), &Some("'销售'"))?;
    let bytes = session.read(&path("out.xlsx"), 1 << 20)?;
    that(bytes.starts_with(b"PK"), || "it is no workbook".to_owned())
}

fn figures_in_order(sandbox: &dyn Sandbox) -> Checked {
    let mut session = patient(sandbox)?;
    let program = "\
import matplotlib.pyplot as plt
for width in (3, 5, 4):
    plt.figure(figsize=(width, 2), dpi=100)
    plt.bar(['a', 'b'], [1, width])
None";
    let execution = draw(&mut *session, program)?;
    let widths: Vec<u32> = execution.images.iter().map(|image| sides(image).0).collect();
    let in_order = widths.len() == 3 && widths[0] < widths[2] && widths[2] < widths[1];
    that(in_order, || format!("figures of 3, 5 and 4 inches came {widths:?} wide"))?;
    let next = draw(&mut *session, "1 + 1")?;
    same("figures of the next program", &next.images.len(), &0)
}

fn a_figure_is_shown_once(sandbox: &dyn Sandbox) -> Checked {
    let mut session = patient(sandbox)?;
    let program = "\
import matplotlib.pyplot as plt
plt.figure(figsize=(3, 2), dpi=100)
plt.plot([1, 3, 2])
plt.show()
plt.figure(figsize=(5, 2), dpi=100)
plt.plot([1, 3, 2])
plt.show()
None";
    let execution = draw(&mut *session, program)?;
    let widths: Vec<u32> = execution.images.iter().map(|image| sides(image).0).collect();
    that(widths.len() == 2 && widths[0] < widths[1], || format!("figures came {widths:?} wide"))?;
    same("its logs", &execution.logs.as_str(), &"")
}

fn a_figure_can_be_a_file(sandbox: &dyn Sandbox) -> Checked {
    let mut session = patient(sandbox)?;
    let program = "\
import matplotlib.pyplot as plt
plt.plot([1, 3, 2])
plt.savefig('/mnt/data/plot.png')
plt.close('all')";
    same("figures", &draw(&mut *session, program)?.images.len(), &0)?;
    let bytes = session.read(&path("plot.png"), 1 << 20)?;
    that(bytes.starts_with(b"\x89PNG"), || "the file is no PNG".to_owned())
}

fn chinese_labels(sandbox: &dyn Sandbox) -> Checked {
    let mut session = patient(sandbox)?;
    let fonts = "\
from matplotlib import font_manager, ft2font
def has_chinese(path):
    try:
        return ft2font.FT2Font(path).get_char_index(ord('销')) > 0
    except Exception:
        return False
any(has_chinese(font.fname) for font in font_manager.fontManager.ttflist)";
    if value(&mut *session, fonts)?.as_deref() != Some("True") {
        return Ok(Kept::NotChecked("no font has Chinese characters".to_owned()));
    }
    let program = "\
import matplotlib.pyplot as plt
plt.bar(['一月', '二月'], [79850, 102250])
plt.title('销售额 (−€)')
plt.ylabel('总计')
plt.show()";
    let execution = draw(&mut *session, program)?;
    same("figures", &execution.images.len(), &1)?;
    same("its warnings", &execution.logs.as_str(), &"")
}
