//! Tokens that are right, and each way in which one can be wrong.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const EXPECTED: Expected<'_> = Expected {
    issuer: "https://id.example.org",
    client: "nodeglass",
    nonce: "n-1",
};

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random);
        Self(pair.unwrap())
    }

    fn keys(&self, kid: &str) -> Keys {
        let point = self.0.public_key().as_ref();
        let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
        serde_json::from_value(json!({"keys": [
            {"kty": "RSA", "kid": "other", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": x, "y": y, "x5t": "extra"},
        ]}))
        .unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature))
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "k1", "typ": "JWT"})
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example.org", "sub": "u-7", "aud": "nodeglass", "exp": 1_700_000_300, "iat": 1_700_000_000,
        "nonce": "n-1", "groups": ["ops"], "preferred_username": "ann",
    })
}

/// What becomes of a token whose claims are changed.
fn with(change: impl FnOnce(&mut Value)) -> Result<Claims, JwtError> {
    let (signer, mut claims) = (Signer::new(), claims());
    change(&mut claims);
    verify(
        &signer.sign(&header(), &claims),
        &signer.keys("k1"),
        EXPECTED,
        NOW,
    )
}

#[test]
fn a_good_token_says_who_it_is() {
    let claims = with(|_| {}).unwrap();
    assert_eq!(
        (claims.sub.as_str(), &claims.more["groups"]),
        ("u-7", &json!(["ops"]))
    );
    assert!(with(|claims| claims["aud"] = json!(["nodeglass"])).is_ok());
    let several = |claims: &mut Value| {
        claims["aud"] = json!(["nodeglass", "other"]);
        claims["azp"] = json!("nodeglass");
    };
    assert!(with(several).is_ok());
    assert!(
        with(|claims| claims["exp"] = json!(1_699_999_941)).is_ok(),
        "clocks differ a little"
    );
}

#[test]
fn a_token_for_others_or_of_another_time_is_refused() {
    let refused = |change: fn(&mut Value)| with(change).unwrap_err();
    assert!(matches!(
        refused(|c| c["iss"] = json!("https://id.example.org/")),
        JwtError::Issuer(_)
    ));
    assert_eq!(refused(|c| c["aud"] = json!("nodeglass2")), JwtError::Audience);
    assert_eq!(
        refused(|c| c["aud"] = json!(["nodeglass", "other"])),
        JwtError::Audience
    );
    assert_eq!(refused(|c| c["azp"] = json!("other")), JwtError::Audience);
    assert_eq!(refused(|c| c["exp"] = json!(1_699_999_940)), JwtError::Time);
    assert_eq!(refused(|c| c["iat"] = json!(1_700_000_061)), JwtError::Time);
    assert_eq!(refused(|c| c["iat"] = json!(1_699_999_399)), JwtError::Time);
    assert_eq!(refused(|c| c["nonce"] = json!("n-2")), JwtError::Nonce);
    assert_eq!(
        refused(|c| drop(c.as_object_mut().unwrap().remove("nonce"))),
        JwtError::Nonce
    );
    // A time that is no number is not one that is absent.
    assert_eq!(refused(|c| c["exp"] = json!("1700000300")), JwtError::Form);
    assert_eq!(
        refused(|c| drop(c.as_object_mut().unwrap().remove("exp"))),
        JwtError::Form
    );
}

#[test]
fn a_signature_of_somebody_else_is_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let check = |token: &str, keys: &Keys| verify(token, keys, EXPECTED, NOW).map(|_| ()).unwrap_err();
    let good = signer.sign(&header(), &claims());
    assert_eq!(check(&good, &other.keys("k1")), JwtError::Signature);
    assert_eq!(check(&good, &signer.keys("k2")), JwtError::UnknownKey);
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    assert_eq!(
        check(&format!("{unsigned}."), &signer.keys("k1")),
        JwtError::Signature
    );
    let keys = signer.keys("k1");
    for (algorithm, expected) in [
        ("none", JwtError::Algorithm("none".to_owned())),
        ("HS256", JwtError::Algorithm("HS256".to_owned())),
        ("RS256", JwtError::UnknownKey),
        ("ES384", JwtError::Signature),
    ] {
        let token = signer.sign(&json!({"alg": algorithm, "kid": "k1"}), &claims());
        assert_eq!(check(&token, &keys), expected, "{algorithm}");
    }
    let asking = json!({"alg": "ES256", "kid": "k1", "crit": ["exp"]});
    assert_eq!(check(&signer.sign(&asking, &claims()), &keys), JwtError::Form);
    for none in ["", ".", "..", "a.b", "a.b.c", "e30.e30.e30"] {
        assert_eq!(check(none, &keys), JwtError::Form, "{none}");
    }
}

#[test]
fn ed25519_and_rsa_are_known_too() {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap();
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())}]});
    let keys: Keys = serde_json::from_value(keys).unwrap();
    let signed = format!(
        "{}.{}",
        encode(json!({"alg": "EdDSA"}).to_string()),
        encode(claims().to_string())
    );
    let token = format!("{signed}.{}", encode(pair.sign(signed.as_bytes())));
    assert!(verify(&token, &keys, EXPECTED, NOW).is_ok());
    // RFC 7515, A.2: its key, its header and its payload, which is no ID token, so that it fails after its signature.
    let keys: Keys = serde_json::from_value(json!({"keys": [{"kty": "RSA", "e": "AQAB", "n":
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs\
         D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV\
         MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}]}))
    .unwrap();
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp\
                 0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbd\
                 s9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN\
                 9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWk\
                 WywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert_eq!(verify(token, &keys, EXPECTED, NOW).unwrap_err(), JwtError::Form);
    let forged = token.replace("cC4hiUPoj9", "cC4hiUPoj8");
    assert_eq!(
        verify(&forged, &keys, EXPECTED, NOW).unwrap_err(),
        JwtError::Signature
    );
}
