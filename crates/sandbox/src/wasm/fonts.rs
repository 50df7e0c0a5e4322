//! A font of this machine's that has Chinese characters, for the labels of figures.
//!
//! matplotlib's own fonts have none. What is found is read once and lies, read-only and in memory,
//! where sessions look for fonts.

use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

/// Where fonts lie in a session.
pub(super) const FONT_FOLDER: &str = "/usr/share/fonts";
const MOST_BYTES: u64 = 32 << 20;

/// Where systems keep such fonts, and the name of each one's first face, which is the one that
/// matplotlib reads.
const KNOWN: &[(&str, &str)] = &[
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "WenQuanYi Micro Hei"),
    ("/usr/share/fonts/wqy-microhei/wqy-microhei.ttc", "WenQuanYi Micro Hei"),
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "Noto Sans CJK JP"),
    ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", "Noto Sans CJK JP"),
    ("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc", "Noto Sans CJK JP"),
    ("/System/Library/Fonts/Hiragino Sans GB.ttc", "Hiragino Sans GB"),
    ("/System/Library/Fonts/STHeiti Light.ttc", "Heiti TC"),
    ("C:\\Windows\\Fonts\\msyh.ttc", "Microsoft YaHei"),
    ("C:\\Windows\\Fonts\\simhei.ttf", "SimHei"),
];

/// A font that sessions see.
#[derive(Clone, Debug)]
pub(super) struct Font {
    pub(super) name: &'static str,
    pub(super) bytes: Arc<[u8]>,
    /// Where it lies, for people.
    pub(super) file_name: String,
}

/// The first of the known fonts that is here.
pub(super) fn find() -> Option<Font> {
    KNOWN.iter().find_map(|(path, name)| {
        let path = Path::new(path);
        let found = fs::metadata(path).ok()?;
        if !found.is_file() || found.len() > MOST_BYTES {
            return None;
        }
        let bytes = fs::read(path).ok()?.into();
        Some(Font { name, bytes, file_name: path.file_name()?.to_str()?.to_owned() })
    })
}

/// How matplotlib is set up: the second family has what the first has not.
pub(super) fn matplotlibrc(font: Option<&Font>) -> String {
    let families = font.map_or_else(String::new, |font| format!(", {}", font.name));
    format!("font.family: DejaVu Sans{families}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_fall_back_on_what_was_found() {
        assert_eq!(matplotlibrc(None), "font.family: DejaVu Sans\n");
        let (name, bytes, file_name) = ("SimHei", Arc::from([]), "simhei.ttf".to_owned());
        let font = Font { name, bytes, file_name };
        assert!(matplotlibrc(Some(&font)).ends_with("DejaVu Sans, SimHei\n"));
    }
}
