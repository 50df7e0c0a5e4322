//! Lists a page at a time.

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<Id> {
    /// At most this many.
    pub limit: usize,
    /// From which end.
    pub order: Order,
    /// Only what comes after this one, in that order.
    pub after: Option<Id>,
    /// Only what comes before this one; alone, the page that ends just before it.
    pub before: Option<Id>,
}

impl<Id> Default for PageRequest<Id> {
    /// The newest twenty.
    fn default() -> Self {
        Self { limit: 20, order: Order::Newest, after: None, before: None }
    }
}

impl<Id> PageRequest<Id> {
    /// Everything, oldest first.
    pub fn all() -> Self {
        Self { limit: usize::MAX, order: Order::Oldest, ..Self::default() }
    }
}

/// From which end a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first, the Assistants API's default.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// In the order asked for.
    pub data: Vec<T>,
    /// Whether there is more beyond it, in the direction it was read.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// The same page of something else.
    pub(crate) fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(each).collect(), has_more: self.has_more }
    }
}
