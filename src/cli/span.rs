//! Which blocks are looked at: all of a span in pieces, or pieces drawn at
//! random. A seed gives the same draw again.

use std::collections::BTreeSet;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::index};

/// Blocks, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Range {
    /// How many blocks there are.
    pub(super) fn len(self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }

    /// What both have.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from <= to).then_some(Self { from, to })
    }

    /// Both halves; none of a single block.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        let middle = self.from + (self.to - self.from) / 2;
        (self.from < self.to)
            .then_some((Self { to: middle, ..self }, Self { from: middle + 1, ..self }))
    }

    /// The piece of this number, of pieces `width` wide.
    fn piece(self, width: u64, number: u64) -> Self {
        let from = self.from + number * width;
        Self { from, to: from.saturating_add(width - 1).min(self.to) }
    }
}

/// All of a span, in pieces of at most `width` blocks.
pub(super) fn cut(span: Range, width: u64) -> Vec<Range> {
    let width = width.max(1);
    (0..span.len().div_ceil(width)).map(|number| span.piece(width, number)).collect()
}

/// As many different pieces of a span, in order; all of them where there are
/// no more.
pub(super) fn draw(span: Range, width: u64, count: usize, seed: u64) -> Vec<Range> {
    let width = width.max(1);
    let pieces = usize::try_from(span.len().div_ceil(width)).unwrap_or(usize::MAX);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut drawn = index::sample(&mut rng, pieces, count.min(pieces)).into_vec();
    drawn.sort_unstable();
    drawn.into_iter().map(|number| span.piece(width, number as u64)).collect()
}

/// Blocks of a range: up to `count` more than those `known`.
pub(super) fn others(range: Range, known: &BTreeSet<u64>, count: u64, seed: u64) -> BTreeSet<u64> {
    if count >= range.len() {
        return (range.from..=range.to).filter(|block| !known.contains(block)).collect();
    }
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(range.from));
    (0..count)
        .map(|_| rng.random_range(range.from..=range.to))
        .filter(|block| !known.contains(block))
        .collect()
}

/// Whether one of the ranges, which are in order, has the block.
pub(super) fn covers(ranges: &[Range], block: u64) -> bool {
    let first = ranges.partition_point(|range| range.to < block);
    ranges.get(first).is_some_and(|range| range.from <= block)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_make_the_span_without_gap_or_overlap(
            from in 0_u64..1000, len in 1_u64..500, width in 1_u64..700,
        ) {
            let span = Range { from, to: from + len - 1 };
            let pieces = cut(span, width);
            let blocks: Vec<u64> = pieces.iter().flat_map(|piece| piece.from..=piece.to).collect();
            prop_assert_eq!(blocks, (span.from..=span.to).collect::<Vec<_>>());
            prop_assert!(pieces.iter().all(|piece| piece.len() <= width));
            prop_assert_eq!(draw(span, width, usize::MAX, 7), pieces);
        }

        #[test]
        fn a_seed_gives_the_same_draw_of_different_pieces_again(
            len in 1_u64..5000, width in 1_u64..70, count in 0_usize..50, seed: u64,
        ) {
            let span = Range { from: 3, to: 3 + len - 1 };
            let drawn = draw(span, width, count, seed);
            prop_assert_eq!(&drawn, &draw(span, width, count, seed));
            prop_assert_eq!(drawn.len(), count.min(cut(span, width).len()));
            prop_assert!(drawn.windows(2).all(|pair| pair[0].to < pair[1].from));
            prop_assert!(drawn.iter().all(|piece| span.and(*piece) == Some(*piece)));
            for piece in &drawn {
                prop_assert!(covers(&drawn, piece.from) && covers(&drawn, piece.to));
            }
            let covered = (0..len + 10).filter(|block| covers(&drawn, *block)).count() as u64;
            prop_assert_eq!(covered, drawn.iter().map(|piece| piece.len()).sum::<u64>());
        }

        #[test]
        fn other_blocks_are_of_the_range_and_new(count in 0_u64..40, seed: u64) {
            let (range, known) = (Range { from: 10, to: 29 }, BTreeSet::from([10, 15, 29]));
            let found = others(range, &known, count, seed);
            prop_assert!(found.is_disjoint(&known));
            prop_assert!(found.iter().all(|block| (10..=29).contains(block)));
            prop_assert!(found.len() as u64 <= count);
            prop_assert!(count < 20 || found.len() == 17);
        }
    }

    #[test]
    fn halves_end_at_a_single_block() {
        let range = Range { from: 4, to: 6 };
        let (low, high) = (Range { from: 4, to: 5 }, Range { from: 6, to: 6 });
        assert_eq!(range.halves(), Some((low, high)));
        assert_eq!(high.halves(), None);
        assert_eq!(low.and(high), None);
    }
}
