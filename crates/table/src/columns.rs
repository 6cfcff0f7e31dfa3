//! Which columns of a table are id, title, body, label and split.

use arrow::datatypes::Schema;

use crate::error::{Error, Result};

/// The names of columns as the settings give them; none is recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// The column with a unique name for each row.
    pub id: Option<String>,
    /// The column with the title, or with the only text.
    pub title: Option<String>,
    /// The column with the body.
    pub body: Option<String>,
    /// The column with the category.
    pub label: Option<String>,
    /// The column with the split.
    pub split: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its position, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
}

/// The meaning of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A unique name for each row.
    Id,
    /// The title, or the only text.
    Title,
    /// The body.
    Body,
    /// The category.
    Label,
    /// The split.
    Split,
}

/// The columns that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The column with a unique name for each row.
    pub id: Option<Column>,
    /// The column with the title, or with the only text.
    pub title: Option<Column>,
    /// The column with the body.
    pub body: Option<Column>,
    /// The column with the category.
    pub label: Option<Column>,
    /// The column with the split.
    pub split: Option<Column>,
}

/// Names of titles, in the order of preference. Names are compared without case.
const TITLES: [&str; 9] =
    ["title", "headline", "subject", "heading", "見出し", "タイトル", "題名", "件名", "題"];

/// Names of texts that are a title if there is no other, and else a body.
const TEXTS: [&str; 18] = [
    "text",
    "sentence",
    "sentence1",
    "review",
    "comment",
    "question",
    "query",
    "utterance",
    "tweet",
    "message",
    "document",
    "input",
    "テキスト",
    "文",
    "文章",
    "レビュー",
    "コメント",
    "質問",
];

const BODIES: [&str; 9] =
    ["body", "content", "article", "description", "review_body", "contents", "本文", "内容", "記事"];

/// Names of labels. Those of names come before `label`, which is then a number.
const LABELS: [&str; 18] = [
    "label_text",
    "label_name",
    "category_name",
    "class_name",
    "label",
    "labels",
    "category",
    "class",
    "target",
    "topic",
    "genre",
    "sentiment",
    "カテゴリ",
    "カテゴリー",
    "ラベル",
    "分類",
    "ジャンル",
    "クラス",
];

const IDS: [&str; 8] = ["id", "guid", "uid", "uuid", "article_id", "doc_id", "document_id", "text_id"];

const SPLITS: [&str; 4] = ["split", "dataset_split", "subset", "partition"];

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [Self::Id, Self::Title, Self::Body, Self::Label, Self::Split];

    /// The name of its setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Title => "title",
            Self::Body => "body",
            Self::Label => "label",
            Self::Split => "split",
        }
    }
}

impl Columns {
    /// The columns that `names` names, and for the others those with usual names. `setting` names the settings in messages,
    /// such as `corpus.columns`.
    ///
    /// The only text is the title, whatever its name.
    ///
    /// # Errors
    /// When a named column is not there, or is named twice.
    pub fn find(schema: &Schema, names: &ColumnNames, setting: &str) -> Result<Self> {
        let mut columns = Self::default();
        for role in Role::ALL {
            if let Some(name) = names.of(role) {
                let found = schema.fields().iter().position(|field| field.name() == name);
                let index = found.ok_or_else(|| missing(schema, role, name, setting))?;
                if let Some(other) = Role::ALL.into_iter().find(|&other| columns.is_at(other, index)) {
                    let reason = format!(
                        "{setting}.{} and {setting}.{} both name the column {name:?}; expected different columns",
                        other.name(),
                        role.name()
                    );
                    return Err(Error::Column { reason });
                }
                *columns.place(role) = Some(Column { index, name: name.clone() });
            }
        }
        for (role, usual) in [
            (Role::Label, LABELS.as_slice()),
            (Role::Split, SPLITS.as_slice()),
            (Role::Id, IDS.as_slice()),
            (Role::Title, TITLES.as_slice()),
            (Role::Body, BODIES.as_slice()),
        ] {
            columns.recognise(role, usual, schema);
        }
        // A text beside a title is its body. The only text is the title.
        let free = if columns.title.is_none() { Role::Title } else { Role::Body };
        columns.recognise(free, &TEXTS, schema);
        if columns.title.is_none() && names.body.is_none() {
            columns.title = columns.body.take();
        }
        Ok(columns)
    }

    /// The column of a role.
    pub fn get(&self, role: Role) -> Option<&Column> {
        match role {
            Role::Id => self.id.as_ref(),
            Role::Title => self.title.as_ref(),
            Role::Body => self.body.as_ref(),
            Role::Label => self.label.as_ref(),
            Role::Split => self.split.as_ref(),
        }
    }

    /// The column of a role that is needed.
    ///
    /// # Errors
    /// When there is none; the message lists the columns that are there.
    pub fn need(&self, role: Role, schema: &Schema, setting: &str) -> Result<&Column> {
        self.get(role).ok_or_else(|| {
            let what = match role {
                Role::Title | Role::Body => "text",
                other => other.name(),
            };
            let reason = format!(
                "no column has a usual name of a {what}; found {}; set {setting}.{} to one of them",
                list(schema),
                role.name()
            );
            Error::Column { reason }
        })
    }

    fn place(&mut self, role: Role) -> &mut Option<Column> {
        match role {
            Role::Id => &mut self.id,
            Role::Title => &mut self.title,
            Role::Body => &mut self.body,
            Role::Label => &mut self.label,
            Role::Split => &mut self.split,
        }
    }

    fn is_at(&self, role: Role, index: usize) -> bool {
        self.get(role).is_some_and(|column| column.index == index)
    }

    /// Gives the role to the first column with a usual name that has no role yet.
    fn recognise(&mut self, role: Role, usual: &[&str], schema: &Schema) {
        if self.get(role).is_some() {
            return;
        }
        let found = usual.iter().find_map(|usual| {
            let (index, field) = schema
                .fields()
                .iter()
                .enumerate()
                .find(|(_, field)| field.name().to_lowercase() == *usual)?;
            let is_free = !Role::ALL.into_iter().any(|other| self.is_at(other, index));
            is_free.then(|| Column { index, name: field.name().clone() })
        });
        *self.place(role) = found;
    }
}

impl ColumnNames {
    fn of(&self, role: Role) -> Option<&String> {
        match role {
            Role::Id => self.id.as_ref(),
            Role::Title => self.title.as_ref(),
            Role::Body => self.body.as_ref(),
            Role::Label => self.label.as_ref(),
            Role::Split => self.split.as_ref(),
        }
    }
}

fn missing(schema: &Schema, role: Role, name: &str, setting: &str) -> Error {
    let reason = format!("{setting}.{} names the column {name:?}, but found {}", role.name(), list(schema));
    Error::Column { reason }
}

/// The names of all columns.
fn list(schema: &Schema) -> String {
    match schema.fields().len() {
        0 => "no columns".to_owned(),
        _ => schema.fields().iter().map(|field| format!("{:?}", field.name())).collect::<Vec<_>>().join(", "),
    }
}
