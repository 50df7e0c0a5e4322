//! `/v1/files`: uploads go straight to the disk, however large.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use docent_core::FileId;
use tokio::time::{Instant, timeout_at};

use super::{Answer, missing};
use crate::app::App;
use crate::bridge::{Upload, UploadEnd};
use crate::error::ApiError;
use crate::ids::ApiId;
use crate::request::{self, PathIds};
use crate::wire::{self, Query};

const ID: &str = "file_id";

const MOST_FILE_BYTES: u64 = 512 << 20;

/// An upload that comes more slowly than this, on the whole, only keeps its thread busy.
const LEAST_BYTES_A_SECOND: u64 = 1 << 10;

/// Fields beside the file are words.
const MOST_FIELD_BYTES: usize = 4 << 10;

pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Answer {
    let page = query.page_up_to::<FileId>(10_000, 10_000)?;
    let purpose = query.take("purpose").map(|name| wire::read_purpose(&name)).transpose()?;
    query.finish()?;
    let page = app.call(move |engine| Ok(engine.collections().files_page(purpose, &page)?));
    Ok(Json(wire::listed(&page.await?, wire::file)))
}

pub(crate) async fn retrieve(State(app): State<App>, path: PathIds) -> Answer {
    let id: FileId = path.id(ID)?;
    let found =
        app.call(move |engine| engine.collections().file(id).map_err(|error| missing(error, id)));
    Ok(Json(wire::file(&found.await?)))
}

pub(crate) async fn delete(State(app): State<App>, path: PathIds) -> Answer {
    let id: FileId = path.id(ID)?;
    let was_there = app.call(move |engine| Ok(engine.collections().delete_file(id)?)).await?;
    if !was_there {
        return Err(FileId::missing(&id.to_string()));
    }
    Ok(Json(wire::deleted(id, "file")))
}

pub(crate) async fn content(State(app): State<App>, path: PathIds) -> Result<Response, ApiError> {
    let id: FileId = path.id(ID)?;
    let (file, source) = app
        .call(move |engine| {
            let file = engine.collections().file(id).map_err(|error| missing(error, id))?;
            Ok((file, engine.collections().open_file(id)?))
        })
        .await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, file.bytes.to_string()),
    ];
    Ok((headers, app.download(source)?).into_response())
}

pub(crate) async fn create(State(app): State<App>, request: Request) -> Answer {
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| {
        ApiError::invalid("A file is uploaded as multipart/form-data with a boundary.")
    })?;
    let (mut purpose, mut upload) = (None, None);
    let (mut anchor, mut seconds) = (None, None);
    let mut pace = Pace::new(&app);
    while let Some(field) = pace.next_field(&mut form).await? {
        match field.name() {
            Some("purpose") => purpose = Some(wire::read_purpose(&word(field, &mut pace).await?)?),
            Some("expires_after[anchor]") => anchor = Some(word(field, &mut pace).await?),
            Some("expires_after[seconds]") => seconds = Some(word(field, &mut pace).await?),
            Some("file") => upload = Some(receive(&app, field, &mut pace).await?),
            name => return Err(unknown(name.unwrap_or_default())),
        }
    }
    let (purpose, upload) = (required(purpose, "purpose")?, required(upload, "file")?);
    let expires_after = wire::read_file_expiry(anchor.as_deref(), seconds.as_deref())?;
    let kept = upload.finish(UploadEnd { purpose, expires_after }).await?;
    Ok(Json(wire::file(&kept)))
}

/// Writes a file to the disk as it comes.
async fn receive(app: &App, mut field: Field<'_>, pace: &mut Pace) -> Result<Upload, ApiError> {
    let upload = app.upload(field.file_name().unwrap_or_default().to_owned())?;
    let mut bytes = 0;
    while let Some(piece) = pace.chunk(&mut field).await? {
        bytes += piece.len() as u64;
        if bytes > MOST_FILE_BYTES {
            let most = MOST_FILE_BYTES >> 20;
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The file is too large; a file may have {most} MB."),
            )
            .at("file"));
        }
        upload.write(piece).await;
    }
    Ok(upload)
}

/// How fast a form must come: no pause may be long, nor the whole a trickle.
struct Pace {
    begun: Instant,
    patience: Duration,
    bytes: u64,
}

impl Pace {
    fn new(app: &App) -> Self {
        Self { begun: Instant::now(), patience: app.patience().body, bytes: 0 }
    }

    /// When the next piece must be here.
    fn deadline(&self) -> Instant {
        let at_least = Duration::from_secs(self.bytes / LEAST_BYTES_A_SECOND);
        (Instant::now() + self.patience).min(self.begun + self.patience + at_least)
    }

    async fn next_field<'a>(
        &mut self,
        form: &'a mut Multipart,
    ) -> Result<Option<Field<'a>>, ApiError> {
        let next = timeout_at(self.deadline(), form.next_field()).await;
        next.map_err(|_| request::late())?.map_err(broken)
    }

    async fn chunk(&mut self, field: &mut Field<'_>) -> Result<Option<Bytes>, ApiError> {
        let next = timeout_at(self.deadline(), field.chunk()).await;
        let piece = next.map_err(|_| request::late())?.map_err(broken)?;
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }
}

async fn word(mut field: Field<'_>, pace: &mut Pace) -> Result<String, ApiError> {
    let mut text = Vec::new();
    while let Some(piece) = pace.chunk(&mut field).await? {
        text.extend_from_slice(&piece);
        if text.len() > MOST_FIELD_BYTES {
            return Err(ApiError::invalid("A field of the form is too long."));
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| wire::missing_parameter(name))
}

fn unknown(name: &str) -> ApiError {
    let shown: String = name.chars().take(64).collect();
    wire::unknown_parameter(&shown)
}

fn broken(error: MultipartError) -> ApiError {
    ApiError::invalid(format!("The form of your request cannot be read: {}", error.body_text()))
}
