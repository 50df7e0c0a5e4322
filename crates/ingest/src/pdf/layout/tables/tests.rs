use crate::LineKind::{Header, Row, Text};
use crate::pdf::glyphs::{Direction, Glyphs, Placement};
use crate::pdf::layout::lines;
use crate::{Line, LineKind};

/// A page in the making; type of ten points, letters as wide as those of a real font.
struct Paper {
    glyphs: Glyphs,
    is_typewritten: bool,
}

impl Paper {
    fn new() -> Self {
        Self { glyphs: Glyphs::new(1_000_000), is_typewritten: false }
    }

    fn advance(&self, c: char) -> f64 {
        match c {
            _ if self.is_typewritten => 6.0,
            'i' | 'l' | 't' | ' ' | '.' => 2.8,
            'm' | 'w' => 8.0,
            _ => 5.5,
        }
    }

    fn write(&mut self, mut x: f64, y: f64, text: &str) {
        for c in text.chars() {
            let advance = self.advance(c);
            let place = Placement { direction: Direction::Across, x, y, advance, size: 10.0 };
            self.glyphs.push(place, c.encode_utf8(&mut [0; 4]));
            x += advance;
        }
    }

    /// Cells in columns 120 points wide, from 50 on.
    fn row(&mut self, y: f64, cells: &[&str]) {
        for (column, cell) in cells.iter().enumerate() {
            self.write(50.0 + 120.0 * column as f64, y, cell);
        }
    }

    fn rows(&mut self, rows: &[&[&str]]) {
        for (at, row) in rows.iter().enumerate() {
            self.row(100.0 + 14.0 * at as f64, row);
        }
    }

    fn across(&mut self, y: f64, columns: std::ops::Range<usize>) {
        let x = |column: usize| 45.0 + 120.0 * column as f64;
        self.glyphs.rules.line((x(columns.start), y), (x(columns.end), y));
    }

    fn down(&mut self, column: usize, top: f64, bottom: f64) {
        let x = 45.0 + 120.0 * column as f64;
        self.glyphs.rules.line((x, top), (x, bottom));
    }

    fn lines(&self) -> Vec<(LineKind, String)> {
        let shown = |line: Line| (line.kind, line.text.replace('\u{2028}', "/"));
        lines(&self.glyphs).into_iter().map(shown).collect()
    }

    fn has_table(&self) -> bool {
        self.lines().iter().any(|(kind, _)| *kind != Text)
    }
}

fn expect(paper: &Paper, expected: &[(LineKind, &str)]) {
    let lines = paper.lines();
    let lines: Vec<(LineKind, &str)> =
        lines.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
    assert_eq!(lines, expected);
}

#[test]
fn ruled_cells_are_rows_whatever_order_they_are_shown_in() {
    let mut paper = Paper::new();
    paper.write(50.0, 80.0, "All stations of the coast are in this table of ours:");
    (0..4).for_each(|row| paper.across(90.0 + 30.0 * f64::from(row), 0..2));
    (0..3).for_each(|column| paper.down(column, 90.0, 180.0));
    // Cell by cell, the lines of each before the next.
    paper.write(50.0, 103.0, "Station");
    paper.write(170.0, 103.0, "Notes");
    paper.write(50.0, 133.0, "Tana");
    paper.write(170.0, 133.0, "a gauge that");
    paper.write(170.0, 145.0, "freezes over");
    paper.write(50.0, 163.0, "Vardo");
    paper.write(170.0, 163.0, "calm");
    paper.write(50.0, 200.0, "Text below.");
    expect(
        &paper,
        &[
            (Text, "All stations of the coast are in this table of ours:"),
            (Header, "Station | Notes"),
            (Row, "Tana | a gauge that/freezes over"),
            (Row, "Vardo | calm"),
            (Text, "Text below."),
        ],
    );
}

#[test]
fn a_cell_that_spans_rows_is_said_in_each_and_a_title_is_no_row() {
    let mut paper = Paper::new();
    for (row, columns) in [0..3, 0..3, 0..3, 1..3, 0..3].into_iter().enumerate() {
        paper.across(90.0 + 20.0 * row as f64, columns);
    }
    [0, 3].into_iter().for_each(|column| paper.down(column, 90.0, 170.0));
    [1, 2].into_iter().for_each(|column| paper.down(column, 110.0, 170.0));
    paper.write(50.0, 103.0, "Table of the kinds of disks and what they are called here");
    paper.row(123.0, &["Arch", "Label", "Kind"]);
    paper.row(143.0, &["", "mips", "Malta"]);
    paper.write(50.0, 153.0, "MIPS 64");
    paper.row(163.0, &["", "mipsel", "Octeon"]);
    expect(
        &paper,
        &[
            (Text, "Table of the kinds of disks and what they are called here"),
            (Header, "Arch | Label | Kind"),
            (Row, "MIPS 64 | mips | Malta"),
            (Row, "MIPS 64 | mipsel | Octeon"),
        ],
    );
}

#[test]
fn lines_divide_what_no_rule_divides() {
    let mut paper = Paper::new();
    [90.0, 110.0, 160.0].into_iter().for_each(|y| paper.across(y, 0..2));
    (0..3).for_each(|column| paper.down(column, 90.0, 160.0));
    paper.row(103.0, &["Station", "Depth"]);
    paper.row(123.0, &["Tana", "4 m"]);
    paper.row(136.0, &["Vardo", "7 m"]);
    paper.row(149.0, &["Alta", "9 m"]);
    expect(
        &paper,
        &[
            (Header, "Station | Depth"),
            (Row, "Tana | 4 m"),
            (Row, "Vardo | 7 m"),
            (Row, "Alta | 9 m"),
        ],
    );
}

#[test]
fn rules_below_each_row_are_enough_where_white_stripes_divide_the_columns() {
    let mut paper = Paper::new();
    [110.0, 140.0, 170.0, 190.0].into_iter().for_each(|y| paper.across(y, 0..3));
    paper.row(103.0, &["Station", "Notes", "Depth"]);
    paper.row(123.0, &["Tana"]);
    paper.write(170.0, 123.0, "a gauge that");
    paper.write(170.0, 135.0, "freezes over");
    paper.write(290.0, 123.0, "4 m");
    paper.row(153.0, &["Vardo", "calm", "7 m"]);
    paper.row(183.0, &["Alta", "deep", "9 m"]);
    expect(
        &paper,
        &[
            (Header, "Station | Notes | Depth"),
            (Row, "Tana | a gauge that/freezes over | 4 m"),
            (Row, "Vardo | calm | 7 m"),
            (Row, "Alta | deep | 9 m"),
        ],
    );
}

const STATIONS: [&[&str]; 4] = [
    &["Station", "Depth", "Keeper"],
    &["Tana", "4 m", "Anna"],
    &["Vardo", "17 m", "Ole"],
    &["Alta", "9 m", "Ida"],
];

#[test]
fn aligned_cells_with_numbers_are_a_table_without_any_rule() {
    let mut paper = Paper::new();
    paper.write(50.0, 70.0, "Here are the stations, their depths and who keeps them:");
    paper.rows(&STATIONS);
    paper.write(170.0, 154.0, "at ebb");
    paper.write(50.0, 168.0, "After the table the text goes on over all of its columns.");
    expect(
        &paper,
        &[
            (Text, "Here are the stations, their depths and who keeps them:"),
            (Header, "Station | Depth | Keeper"),
            (Row, "Tana | 4 m | Anna"),
            (Row, "Vardo | 17 m | Ole"),
            (Row, "Alta | 9 m/at ebb | Ida"),
            (Text, "After the table the text goes on over all of its columns."),
        ],
    );
}

#[test]
fn what_is_typewritten_in_columns_is_a_listing() {
    let mut paper = Paper { is_typewritten: true, ..Paper::new() };
    paper.rows(&STATIONS);
    assert!(!paper.has_table());
}

#[test]
fn other_things_in_columns_stay_text() {
    let cases: [(&str, &[&[&str]]); 7] = [
        ("two lines", &STATIONS[..2]),
        (
            "contents with leaders",
            &[
                &["1", "Tides . . . . .", "3"],
                &["2", "Waves . . . . .", "9"],
                &["3", "Depths . . . . .", "4"],
                &["4", "Names . . . . .", "2"],
            ],
        ),
        (
            "contents without",
            &[
                &["", "Preface", "iii"],
                &["1.1", "Tides", "3"],
                &["1.2", "Waves", "9"],
                &["1.3", "Depths", "12"],
            ],
        ),
        ("a list", &[&["1.", "Tana 4"], &["2.", "Vardo 7"], &["3.", "Alta 9"], &["4.", "Bo 2"]]),
        (
            "an index",
            &[
                &["anchor, 4", "gauge, 12", "tide, 8"],
                &["basin, 14", "harbor, 2", "water, 9"],
                &["chart, 6", "island, 3", "wave, 19"],
            ],
        ),
        (
            "a form",
            &[&["Name", "Anna"], &["Town", "Oslo"], &["Street", "Sea Road"], &["Date", "May"]],
        ),
        ("names", &[&["Anna", "Ole", "Ida"], &["Per", "Kari", "Bo"], &["Liv", "Nils", "Eva"]]),
    ];
    for (name, rows) in cases {
        let mut paper = Paper::new();
        paper.rows(rows);
        assert!(!paper.has_table(), "{name}: {:?}", paper.lines());
    }
}

#[test]
fn prose_in_columns_is_no_table_even_with_numbers() {
    let mut paper = Paper::new();
    for line in 0..12 {
        for x in [50.0, 220.0, 390.0] {
            let text = format!("in {} the tide rose by {} feet", 1900 + line, line % 7);
            paper.write(x, 100.0 + 12.0 * f64::from(line), &text);
        }
    }
    assert!(!paper.has_table(), "{:?}", paper.lines());
}

#[test]
fn frames_plots_and_forms_are_no_tables() {
    // A listing in a frame.
    let mut frame = Paper::new();
    [90.0, 150.0].into_iter().for_each(|y| frame.across(y, 0..3));
    [0, 3].into_iter().for_each(|column| frame.down(column, 90.0, 150.0));
    frame.rows(&[&["let a = 1;"], &["let b = a;"], &["print(b);"]]);
    // A plot: many lines, few words.
    let mut plot = Paper::new();
    (0..7).for_each(|at| plot.across(90.0 + 14.0 * f64::from(at), 0..4));
    (0..5).for_each(|column| plot.down(column, 90.0, 174.0));
    plot.row(101.0, &["one", "two"]);
    plot.row(129.0, &["one", "two"]);
    // A form: each row is divided elsewhere.
    let mut form = Paper::new();
    (0..5).for_each(|at| form.across(90.0 + 14.0 * f64::from(at), 0..4));
    for (row, column) in [(0, 1), (1, 2), (2, 3), (3, 2)] {
        let top = 90.0 + 14.0 * f64::from(row);
        [0, column, 4].into_iter().for_each(|column| form.down(column, top, top + 14.0));
        form.row(top + 11.0, &["Name"]);
        form.write(50.0 + 120.0 * column as f64, top + 11.0, "of the ship");
    }
    for (name, paper) in [("frame", frame), ("plot", plot), ("form", form)] {
        assert!(!paper.has_table(), "{name}: {:?}", paper.lines());
    }
}

#[test]
fn hostile_pages_end_soon_and_lose_no_glyph() {
    let begun = std::time::Instant::now();
    // A grid of more cells than a table has, one of tiny cells, and rows without end.
    let mut grids = Paper::new();
    for at in 0..1000 {
        grids.glyphs.rules.line((0.0, f64::from(at) * 8.0), (8000.0, f64::from(at) * 8.0));
        grids.glyphs.rules.line((f64::from(at) * 8.0, 0.0), (f64::from(at) * 8.0, 8000.0));
    }
    grids.glyphs.rules.line((f64::NAN, f64::INFINITY), (1e300, -1e300));
    let mut rows = Paper::new();
    for at in 0..50_000 {
        let (x, y) = (f64::from(at % 7) * 40.0, f64::from(at / 7) * 11.0);
        grids.write(x, y, "5");
        rows.write(x, y, "a1");
    }
    for paper in [grids, rows] {
        let found: usize =
            paper.lines().iter().map(|(_, text)| text.matches(['a', '5']).count()).sum();
        assert_eq!(found, 50_000);
    }
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
