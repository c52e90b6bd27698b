//! Dashboards that people made.

use nodeglass_model::UnixMillis;
use nodeglass_store::boards::{Board, BoardEntry, Saved};
use nodeglass_store::open;

on_every_database!(
    keeps_dashboards_and_changes_them_in_turn,
    takes_no_more_dashboards_than_it_may,
);

fn board(id: &str, name: &str, revision: i64, body: &str) -> Board {
    Board {
        entry: BoardEntry {
            id: id.to_owned(),
            name: name.to_owned(),
            revision,
            saved_at: UnixMillis(1_000 + revision),
            saved_by: "ada".to_owned(),
        },
        body: body.to_owned(),
    }
}

async fn keeps_dashboards_and_changes_them_in_turn(url: &str) {
    let store = open(url).await.unwrap();
    assert_eq!(store.boards().await.unwrap(), []);
    assert_eq!(store.board("a").await.unwrap(), None);
    let first = board("a", "Web", 0, r#"{"panels":[]}"#);
    assert_eq!(store.save_board(&first, 9).await.unwrap(), Saved::Kept);
    assert_eq!(
        store.save_board(&board("b", "Data", 0, "{}"), 9).await.unwrap(),
        Saved::Kept
    );
    // Another of that name in addresses is not a change of the one that is there.
    assert_eq!(store.save_board(&first, 9).await.unwrap(), Saved::Outdated);

    let kept = store.board("a").await.unwrap().unwrap();
    assert_eq!((kept.entry.revision, kept.body.as_str()), (1, r#"{"panels":[]}"#));
    let changed = board("a", "Web hosts", 1, "[]");
    assert_eq!(store.save_board(&changed, 9).await.unwrap(), Saved::Kept);
    assert_eq!(store.save_board(&changed, 9).await.unwrap(), Saved::Outdated);
    let listed = store.boards().await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|entry| (entry.name.as_str(), entry.revision))
        .collect();
    assert_eq!(names, [("Data", 1), ("Web hosts", 2)]);
    assert_eq!(
        (listed[1].saved_at, listed[1].saved_by.as_str()),
        (UnixMillis(1_001), "ada")
    );

    assert!(store.remove_board("a").await.unwrap());
    assert!(!store.remove_board("a").await.unwrap());
    // A change of one that was removed is not kept.
    assert_eq!(
        store.save_board(&board("a", "Web", 2, "{}"), 9).await.unwrap(),
        Saved::Outdated
    );
    store.close().await;
}

async fn takes_no_more_dashboards_than_it_may(url: &str) {
    let store = open(url).await.unwrap();
    for id in ["a", "b"] {
        assert_eq!(
            store.save_board(&board(id, id, 0, "{}"), 2).await.unwrap(),
            Saved::Kept
        );
    }
    assert_eq!(
        store.save_board(&board("c", "c", 0, "{}"), 2).await.unwrap(),
        Saved::Full
    );
    assert_eq!(
        store.save_board(&board("a", "a", 1, "{}"), 2).await.unwrap(),
        Saved::Kept
    );
    store.close().await;
}
