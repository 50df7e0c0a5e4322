//! Keys and values of the tokens read so far, in pages that conversations share.
//!
//! A page has the keys and values of 32 tokens in all layers, in f16. Forking a cache at any token
//! copies no page but the last one, and that only when either side goes on: threads that begin with
//! the same instructions keep them once.

use std::sync::Arc;

use half::f16;

use super::shape::Shape;

/// Tokens a page has; as many as a panel of a product has columns.
pub(super) const PAGE: usize = 32;

/// The greatest number of f16; greater ones are kept as it.
const GREATEST: f32 = 65504.0;

/// Where things are in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    layers: usize,
    kv_heads: usize,
    pub(super) key_dims: usize,
    /// Those of a value, filled up to a multiple of [`PAGE`].
    pub(super) value_dims: usize,
}

impl Layout {
    pub(super) fn new(shape: &Shape) -> Self {
        Self {
            layers: shape.layers,
            kv_heads: shape.kv_heads,
            key_dims: shape.head_dims,
            value_dims: shape.head_dims.next_multiple_of(PAGE),
        }
    }

    fn head(self) -> usize {
        (self.key_dims + self.value_dims) * PAGE
    }

    fn page(self) -> usize {
        self.layers * self.kv_heads * self.head()
    }
}

/// `[layer][head]`, each keys `[dimension][token]`, then values `[token][dimension]`.
#[derive(Clone, Debug)]
struct Page(Vec<f16>);

/// What a conversation has read.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    layout: Layout,
    pages: Vec<Arc<Page>>,
    len: usize,
}

impl Cache {
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, pages: Vec::new(), len: 0 }
    }

    /// Tokens read.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The same conversation up to its first `len` tokens.
    pub(crate) fn fork(&self, len: usize) -> Self {
        let mut fork = self.clone();
        fork.truncate(len);
        fork
    }

    /// Forgets all but the first `len` tokens.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.pages.truncate(self.len.div_ceil(PAGE));
    }

    /// Each page's address, which tells whether two caches share it, and its size in bytes.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (usize, usize)> {
        let bytes = self.layout.page() * size_of::<f16>();
        self.pages.iter().map(move |page| (Arc::as_ptr(page) as usize, bytes))
    }

    /// Makes room for `count` more tokens, whose keys and values are [put](Self::put) before they
    /// are read.
    pub(super) fn grow(&mut self, count: usize) {
        self.len += count;
        let pages = self.len.div_ceil(PAGE);
        let page = || Arc::new(Page(vec![f16::ZERO; self.layout.page()]));
        self.pages.resize_with(pages, page);
    }

    /// Keeps the keys and values of the tokens from `first` on, one row of all heads each.
    pub(super) fn put(&mut self, layer: usize, first: usize, keys: &[f32], values: &[f32]) {
        let Layout { kv_heads, key_dims, value_dims, .. } = self.layout;
        let rows = keys.chunks_exact(kv_heads * key_dims);
        let rows = rows.zip(values.chunks_exact(kv_heads * key_dims));
        for (token, (keys, values)) in (first..).zip(rows) {
            let page = &mut Arc::make_mut(&mut self.pages[token / PAGE]).0;
            let heads = keys.chunks_exact(key_dims).zip(values.chunks_exact(key_dims));
            for (head, (key, value)) in heads.enumerate() {
                let at = (layer * kv_heads + head) * self.layout.head();
                let (kept_keys, kept_values) =
                    page[at..][..self.layout.head()].split_at_mut(key_dims * PAGE);
                for (kept, key) in kept_keys.chunks_exact_mut(PAGE).zip(key) {
                    kept[token % PAGE] = narrow(*key);
                }
                let kept = &mut kept_values[token % PAGE * value_dims..][..key_dims];
                kept.iter_mut().zip(value).for_each(|(kept, value)| *kept = narrow(*value));
            }
        }
    }

    /// A page's keys `[dimension][token]` and values `[token][dimension]` of one head.
    pub(super) fn head(&self, page: usize, layer: usize, head: usize) -> (&[f16], &[f16]) {
        let at = (layer * self.layout.kv_heads + head) * self.layout.head();
        let head = &self.pages[page].0[at..][..self.layout.head()];
        head.split_at(self.layout.key_dims * PAGE)
    }
}

fn narrow(value: f32) -> f16 {
    f16::from_f32(value.clamp(-GREATEST, GREATEST))
}
