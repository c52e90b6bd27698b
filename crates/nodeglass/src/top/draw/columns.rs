//! Columns of a table, and which of them fit: on a narrow terminal those are left out that are worth least.

use ratatui::layout::{Alignment, Constraint};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::HEADER;

/// What cells are drawn for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Unix milliseconds.
    pub(super) now_ms: i64,
    /// How old the picture is in seconds, where that is worth saying.
    pub(super) age_seconds: Option<f64>,
    /// Cells between the brackets of a bar; none where figures stand alone.
    pub(super) bar: usize,
    /// Cells of the name.
    pub(super) name: usize,
    /// Whether programs are shown with where they lie.
    pub(super) has_paths: bool,
}

/// A column.
pub(super) struct Column<T> {
    title: &'static str,
    /// Cells that it takes.
    width: u16,
    /// The lowest is left out last.
    rank: u8,
    cell: fn(&T, Look) -> Line<'static>,
    alignment: Alignment,
    grows: bool,
}

impl<T> Column<T> {
    /// Figures, which end where their column does.
    pub(super) fn figures(
        title: &'static str,
        width: u16,
        rank: u8,
        cell: fn(&T, Look) -> Line<'static>,
    ) -> Self {
        Self {
            title,
            width,
            rank,
            cell,
            alignment: Alignment::Right,
            grows: false,
        }
    }

    /// Words, which begin where it does.
    pub(super) fn words(
        title: &'static str,
        width: u16,
        rank: u8,
        cell: fn(&T, Look) -> Line<'static>,
    ) -> Self {
        Self {
            alignment: Alignment::Left,
            ..Self::figures(title, width, rank, cell)
        }
    }

    /// The same with what the others leave.
    pub(super) fn and_the_rest(self) -> Self {
        Self { grows: true, ..self }
    }
}

/// The cells that columns take, with one between each two.
pub(super) fn width<T>(columns: &[&Column<T>]) -> u16 {
    let between = columns.len().saturating_sub(1) as u16;
    columns.iter().map(|column| column.width).sum::<u16>() + between
}

/// Those that fit into so many cells, in their order: none stands whose better does not. The one of the lowest rank is always
/// there.
pub(super) fn fitting<T>(columns: &[Column<T>], room: u16) -> Vec<&Column<T>> {
    let mut ranks: Vec<u8> = columns.iter().map(|column| column.rank).collect();
    ranks.sort_unstable();
    let of =
        |worst: u8| -> Vec<&Column<T>> { columns.iter().filter(|column| column.rank <= worst).collect() };
    let fits = |worst: &&u8| width(&of(**worst)) <= room;
    ranks
        .iter()
        .rev()
        .find(fits)
        .or(ranks.first())
        .map_or_else(Vec::new, |worst| of(*worst))
}

/// A table of these columns.
pub(super) fn table<T>(
    columns: &[&Column<T>],
    rows: impl Iterator<Item = T>,
    look: Look,
    style: impl Fn(&T, Row<'static>) -> Row<'static>,
) -> Table<'static> {
    let rows: Vec<Row<'static>> = rows
        .map(|one| {
            let cells = columns
                .iter()
                .map(|column| (column.cell)(&one, look).alignment(column.alignment));
            style(&one, cells.collect())
        })
        .collect();
    let widths = columns.iter().map(|column| {
        if column.grows {
            Constraint::Min(column.width)
        } else {
            Constraint::Length(column.width)
        }
    });
    let titles: Row<'static> = columns
        .iter()
        .map(|column| Line::from(column.title).alignment(column.alignment))
        .collect();
    Table::new(rows, widths).header(titles.style(HEADER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_least_is_left_out_first() {
        let column = |title, width, rank| Column::<()>::figures(title, width, rank, |(), _| Line::default());
        let columns = [column("A", 10, 0), column("B", 8, 2), column("C", 6, 1)];
        let shown = |room| -> String { fitting(&columns, room).iter().map(|one| one.title).collect() };
        assert_eq!(shown(26), "ABC");
        assert_eq!(shown(25), "AC");
        assert_eq!(shown(17), "AC");
        assert_eq!(shown(16), "A");
        assert_eq!(shown(3), "A");
        assert_eq!(width(&fitting(&columns, 26)), 26);
    }
}
