//! Stands in for what the planner brings.
pub(crate) fn plan(_: &[u8]) -> anyhow::Result<tidegate_core::plan::Plan> {
    anyhow::bail!("components cannot be planned")
}
pub(crate) fn newest_compatible<'a>(_: &str, _: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    None
}
