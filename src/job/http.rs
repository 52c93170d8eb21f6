//! stand-in

/// The request that each attempt of a job makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCall {
    /// m
    pub method: Box<str>,
    /// u
    pub url: Box<str>,
    /// h
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// b
    pub body: Box<str>,
}
/// c
pub fn check_method(_: &str) -> Result<(), String> {
    Ok(())
}
/// c
pub fn check_url(_: &str) -> Result<(), String> {
    Ok(())
}
/// c
pub fn check_header(_: &str, _: &str) -> Result<(), String> {
    Ok(())
}
