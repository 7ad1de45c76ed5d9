//! The name of an image that an answer carries.

/// The image in one string: its source, a slash, its id. In the database this is the `_id` of the image and of its
/// answer.
///
/// A slash within the id is written `%2F` (and `%` itself `%25`), so that two images never share a subject: the id is
/// what follows the last slash.
#[must_use]
pub fn subject(source: &str, id: &str) -> String {
    if id.contains(['/', '%']) {
        return format!("{source}/{}", id.replace('%', "%25").replace('/', "%2F"));
    }
    format!("{source}/{id}")
}
