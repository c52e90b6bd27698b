//! What everybody changes of their own: the password, and one-time codes.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::JsonBody;
use super::session::{Hidden, no_store};
use crate::access::Caller;
use crate::error::{ApiError, Problem};
use crate::identity::Recovery;

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnPassword {
    /// The present one.
    #[schema(value_type = String, format = Password, max_length = 1024)]
    old: Hidden,
    /// The new one.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 256)]
    new: Hidden,
}

/// Changes one's own password; one's other sessions end.
#[utoipa::path(
    put, path = "/api/v1/session/password", operation_id = "change_own_password", tag = "session",
    request_body = OwnPassword,
    responses(
        (status = 204, description = "It is changed."),
        (status = 409, description = "The caller is no user, or the new password is one that is guessed first.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn password(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<OwnPassword>,
) -> Result<StatusCode, ApiError> {
    api.identity
        .change_password(&caller, &body.old.0, &body.new.0)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// The password.
    #[schema(value_type = String, format = Password, max_length = 1024)]
    password: Hidden,
}

/// A new secret of one-time codes.
#[derive(Serialize, ToSchema)]
pub(super) struct TotpSecret {
    /// The secret, to be typed.
    secret: String,
    /// The same for an authenticator, to be shown as a picture.
    otpauth_url: String,
}

/// Begins to set up one-time codes; they are asked for once a code has confirmed them.
#[utoipa::path(
    post, path = "/api/v1/session/totp", operation_id = "begin_totp", tag = "session",
    request_body = Confirmation,
    responses(
        (status = 200, description = "The secret, shown this once.", body = TotpSecret),
        (status = 409, description = "The caller is no user.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn begin_totp(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<Confirmation>,
) -> Result<Response, ApiError> {
    let (secret, url) = api.identity.begin_totp(&caller, &body.password.0).await?;
    Ok(no_store(Json(TotpSecret {
        secret: secret.expose().to_owned(),
        otpauth_url: url.expose().to_owned(),
    })))
}

/// A code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    /// Six digits.
    #[schema(value_type = String, format = Password, max_length = 64)]
    code: Hidden,
}

/// Codes for whoever loses the device.
#[derive(Serialize, ToSchema)]
pub(super) struct RecoveryCodes {
    /// Each is good once, in place of a code.
    recovery_codes: Vec<String>,
}

/// Confirms one-time codes with the first of them; signing in takes one from now on.
#[utoipa::path(
    put, path = "/api/v1/session/totp", operation_id = "confirm_totp", tag = "session",
    request_body = Code,
    responses(
        (status = 200, description = "Recovery codes, shown this once.", body = RecoveryCodes),
        (status = 409, description = "Nothing is being set up, or the caller is no user.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn confirm_totp(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<Code>,
) -> Result<Response, ApiError> {
    let Recovery(recovery_codes) = api.identity.confirm_totp(&caller, &body.code.0).await?;
    Ok(no_store(Json(RecoveryCodes { recovery_codes })))
}

/// One's own password, and a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmationWithCode {
    /// The password.
    #[schema(value_type = String, format = Password, max_length = 1024)]
    password: Hidden,
    /// A code, or a recovery code.
    #[schema(value_type = String, format = Password, max_length = 64)]
    code: Hidden,
}

/// Has one sign in without one-time codes.
#[utoipa::path(
    post, path = "/api/v1/session/totp/off", operation_id = "end_totp", tag = "session",
    request_body = ConfirmationWithCode,
    responses(
        (status = 204, description = "They are asked for no more."),
        (status = 409, description = "The caller is no user.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn end_totp(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<ConfirmationWithCode>,
) -> Result<StatusCode, ApiError> {
    api.identity
        .end_totp(&caller, &body.password.0, &body.code.0)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
