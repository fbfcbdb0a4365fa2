//! What people are called by those who have an interest in it.

use serde_json::json;

use super::Tenant;

#[tokio::test]
async fn adm_07_no_name_carries_what_commands_a_terminal() {
    let tenant = Tenant::new().await;
    let org = tenant.id;
    let named = [
        ("organization.create", "name", json!({})),
        ("api_key.create", "name", json!({"organization": org, "grants": []})),
        ("role.create", "about", json!({"organization": org, "name": "r", "grants": []})),
        ("connection.create", "name", json!({"organization": org, "protocol": "oidc"})),
        ("app.create", "name", json!({"organization": org, "redirectUris": ["https://a.example/cb"]})),
    ];
    let commands =
        ["\u{1b}]52;c;aGk=\u{7}", "\u{1b}]8;;https://evil.example\u{1b}\\", "\u{9b}31m", "\r\n", "\u{0}", "\u{7f}"];
    for (operation, field, wish) in named {
        for command in commands {
            let mut wish = wish.clone();
            wish[field] = json!(format!("Ada{command}Lovelace"));
            assert_eq!(tenant.refused_to_operator(operation, wish).await, "invalid_input", "{operation} {command:?}");
        }
    }
}
