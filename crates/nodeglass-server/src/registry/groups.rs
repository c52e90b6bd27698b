//! Groups: named selections of agents, with what is asked of all of them. An agent is in every group that means it, by name,
//! pattern or label, so that who enrols a host says what it is and not what follows from it.

use nodeglass_store::registry::GroupRecord;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::selector::{Choice, Choices};
use super::settings::AgentSettings;

/// The group of all agents: what is asked of them is the default. It stands below all others and can't be removed.
pub const ALL: &str = "all";
/// Groups at most: what is asked of an agent is put together from all of them.
pub const MAX_GROUPS: usize = 200;
/// Entries in the list of one group.
const MAX_ENTRIES: usize = 1_000;
/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// The places that a group may have; that of `all` is below.
const PLACES: std::ops::RangeInclusive<i32> = 0..=1_000_000;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Of two groups that ask for the same thing, the one with the higher place decides; among equals the later name.
    pub place: i32,
    /// Whom it has.
    pub choices: Choices,
    /// What is asked of them.
    pub settings: AgentSettings,
}

/// A group as it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSaid {
    /// Names, patterns (`web-*`) and labels (`label:env=prod`); an agent is in the group if any of them means it.
    pub agents: Vec<String>,
    /// Of two groups that ask for the same thing, the one with the higher place decides.
    pub place: i32,
    /// What is asked of them.
    #[serde(deserialize_with = "object")]
    pub settings: AgentSettings,
}

/// Takes an object, and no list, which would be taken for the fields of one in their order.
fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let fields = serde_json::Map::deserialize(deserializer)?;
    T::deserialize(Value::Object(fields)).map_err(D::Error::custom)
}

/// Checks a group's name.
///
/// # Errors
/// It can't be one; says what could.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_good = name.len() <= MAX_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    if is_good {
        Ok(())
    } else {
        Err(format!(
            "a group's name has 1 to {MAX_NAME_BYTES} letters, digits, '_', '-' and '.', and starts with a letter or digit"
        ))
    }
}

impl Group {
    /// Takes over what was said.
    ///
    /// # Errors
    /// Something of it can't be; says which and why.
    pub fn new(name: &str, said: &GroupSaid) -> Result<Self, String> {
        check_name(name)?;
        said.settings.check()?;
        if said.agents.len() > MAX_ENTRIES {
            return Err(format!("agents: at most {MAX_ENTRIES} entries"));
        }
        let choices = Choices::parse(said.agents.iter().map(String::as_str))
            .map_err(|problem| format!("agents: {problem}"))?;
        if choices.0.iter().any(|choice| matches!(choice, Choice::Group(_))) {
            return Err(
                "agents: a group can't be made of groups; name agents, patterns and labels".to_owned(),
            );
        }
        if name == ALL && !said.agents.is_empty() {
            return Err("agents: the group all has all agents; leave the list out".to_owned());
        }
        if name != ALL && said.agents.is_empty() {
            return Err(
                "agents: name some, by names, patterns such as web-* or labels such as label:env=prod"
                    .to_owned(),
            );
        }
        if !PLACES.contains(&said.place) {
            return Err(format!(
                "place: it is within {} to {}",
                PLACES.start(),
                PLACES.end()
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            place: if name == ALL { -1 } else { said.place },
            choices,
            settings: said.settings.clone(),
        })
    }

    /// As it was said.
    pub fn said(&self) -> GroupSaid {
        GroupSaid {
            agents: self.choices.0.iter().map(ToString::to_string).collect(),
            place: self.place.max(0),
            settings: self.settings.clone(),
        }
    }

    /// As the database keeps it.
    pub(super) fn to_record(&self) -> GroupRecord {
        let said = self.said();
        let json = |value: serde_json::Result<String>| value.expect("texts and numbers can be written");
        GroupRecord {
            name: self.name.clone(),
            place: self.place,
            selector: json(serde_json::to_string(&said.agents)),
            settings: json(serde_json::to_string(&said.settings)),
        }
    }

    /// From the database.
    ///
    /// # Errors
    /// A newer server wrote it.
    pub(super) fn of_record(record: &GroupRecord) -> Result<Self, String> {
        let said = GroupSaid {
            agents: serde_json::from_str(&record.selector).map_err(|error| error.to_string())?,
            place: record.place.max(0),
            settings: serde_json::from_str(&record.settings).map_err(|error| error.to_string())?,
        };
        Self::new(&record.name, &said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_checked_and_kept_as_it_was_said() {
        let said: GroupSaid = serde_json::from_str(
            r#"{"agents": ["web-*", "label:env=prod"], "place": 7, "settings": {"collection_interval_seconds": 10}}"#,
        )
        .unwrap();
        let group = Group::new("web", &said).unwrap();
        assert_eq!(group.said(), said);
        assert_eq!(Group::of_record(&group.to_record()).unwrap(), group);
        let wrong = |name: &str, json: &str| {
            let said: GroupSaid = serde_json::from_str(json).unwrap();
            Group::new(name, &said).unwrap_err()
        };
        assert!(wrong("a b", r#"{"agents": ["x"]}"#).contains("name"));
        assert!(wrong("a", "{}").contains("agents"));
        assert!(wrong("a", r#"{"agents": ["group:b"]}"#).contains("groups"));
        assert!(wrong("all", r#"{"agents": ["x"]}"#).contains("all"));
        assert!(wrong("a", r#"{"agents": ["x"], "place": -1}"#).contains("place"));
        assert!(
            wrong("a", r#"{"agents": ["x"], "settings": {"top_processes": 101}}"#).contains("top_processes")
        );
        assert!(serde_json::from_str::<GroupSaid>(r#"{"agnets": []}"#).is_err());
    }
}
