//! Lists a page at a time.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Direction, Key, Read, Result, Scan, Table};

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

    /// The rows of a table that are asked for: below `prefix`, each id under the key `key` gives it.
    pub fn window(&self, prefix: impl Into<String>, key: impl Fn(&Id) -> String) -> Window {
        Window {
            prefix: prefix.into(),
            after: self.after.as_ref().map(&key),
            before: self.before.as_ref().map(&key),
            order: self.order,
            limit: self.limit,
        }
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
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(each).collect(), has_more: self.has_more }
    }

    /// The part of `oldest_first`, a whole list in memory, that `request` asks for. A cursor that
    /// is not in the list bounds nothing: refuse it before.
    pub fn of<Id: PartialEq>(
        mut oldest_first: Vec<T>,
        request: &PageRequest<Id>,
        id: impl Fn(&T) -> Id,
    ) -> Self {
        if request.order == Order::Newest {
            oldest_first.reverse();
        }
        let mut data = oldest_first;
        let place = |wanted: &Option<Id>, data: &[T]| {
            let wanted = wanted.as_ref()?;
            data.iter().position(|item| id(item) == *wanted)
        };
        let end = place(&request.before, &data).unwrap_or(data.len());
        let start = place(&request.after, &data).map_or(0, |at| at + 1).min(end);
        let backwards = request.after.is_none() && request.before.is_some();
        let start = match backwards {
            true => end.saturating_sub(request.limit).max(start),
            false => start,
        };
        let has_more = match backwards {
            true => start > 0,
            false => end - start > request.limit,
        };
        data.truncate(end.min(start.saturating_add(request.limit)));
        data.drain(..start);
        Self { data, has_more }
    }
}

/// Which rows of a table a page shows: those below `prefix`, from a cursor on.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// What every row's key begins with.
    pub prefix: String,
    /// Only rows after this key, in the order asked for.
    pub after: Option<String>,
    /// Only rows before this key; alone, the page that ends just before it.
    pub before: Option<String>,
    /// From which end.
    pub order: Order,
    /// At most this many rows.
    pub limit: usize,
}

impl Window {
    fn reads_backwards(&self) -> bool {
        self.after.is_none() && self.before.is_some()
    }

    fn direction(&self) -> Direction {
        match (self.order, self.reads_backwards()) {
            (Order::Oldest, false) | (Order::Newest, true) => Direction::Forward,
            (Order::Newest, false) | (Order::Oldest, true) => Direction::Backward,
        }
    }

    /// Whether `key` lies beyond the page's far end.
    fn ends_before(&self, key: &str) -> bool {
        let Some(before) = self.before.as_deref().filter(|_| !self.reads_backwards()) else {
            return false;
        };
        match self.direction() {
            Direction::Forward => key >= before,
            Direction::Backward => key <= before,
        }
    }
}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    /// One page of the rows that `keep` wants. Rows are read a page at a time until it is full.
    pub fn page(
        &self,
        read: &(impl Read + ?Sized),
        window: &Window,
        keep: impl Fn(&K, &V) -> bool,
    ) -> Result<Page<(K, V)>> {
        let backwards = window.reads_backwards();
        let mut cursor = if backwards { window.before.clone() } else { window.after.clone() };
        let (direction, wanted) = (window.direction(), window.limit.saturating_add(1));
        let mut data = Vec::new();
        let mut ended = false;
        while !ended && data.len() < wanted {
            let after = cursor.as_deref();
            let scan = Scan { prefix: &window.prefix, after, limit: wanted, direction };
            let rows = self.scan(read, scan)?;
            ended = rows.len() < wanted;
            cursor = rows.last().map(|(key, _)| key.to_text());
            for (key, value) in rows {
                if window.ends_before(&key.to_text()) {
                    ended = true;
                    break;
                }
                if keep(&key, &value) {
                    data.push((key, value));
                }
            }
        }
        let has_more = data.len() > window.limit;
        data.truncate(window.limit);
        if backwards {
            data.reverse();
        }
        Ok(Page { data, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(request: PageRequest<u32>) -> (Vec<u32>, bool) {
        let page = Page::of(vec![1, 2, 3, 4, 5], &request, |item| *item);
        (page.data, page.has_more)
    }

    #[test]
    fn a_list_in_memory_is_paged_with_both_cursors_in_both_orders() {
        let newest = PageRequest { limit: 2, ..PageRequest::default() };
        let oldest = PageRequest { order: Order::Oldest, ..newest };
        for (request, data, has_more) in [
            (newest, vec![5, 4], true),
            (PageRequest { after: Some(4), ..newest }, vec![3, 2], true),
            (PageRequest { after: Some(2), ..newest }, vec![1], false),
            (PageRequest { after: Some(1), ..newest }, vec![], false),
            (PageRequest { before: Some(2), ..newest }, vec![4, 3], true),
            (PageRequest { before: Some(4), ..newest }, vec![5], false),
            (PageRequest { after: Some(5), before: Some(3), ..newest }, vec![4], false),
            (PageRequest { after: Some(2), before: Some(4), ..newest }, vec![], false),
            (oldest, vec![1, 2], true),
            (PageRequest { after: Some(3), ..oldest }, vec![4, 5], false),
            (PageRequest { before: Some(4), ..oldest }, vec![2, 3], true),
            (PageRequest { limit: usize::MAX, ..oldest }, vec![1, 2, 3, 4, 5], false),
        ] {
            assert_eq!(page(request), (data, has_more), "{request:?}");
        }
    }
}
