//! Text as it stands between the tags of a picture.

/// The text, with a name in place of each character that would be read as markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
