//! What people are called by those who have an interest in it.

use serde_json::{Value, json};

use super::Tenant;

#[tokio::test]
async fn adm_07_no_name_carries_what_commands_a_terminal() {
    let tenant = Tenant::new().await;
    let org = tenant.id;
    let wishes: Vec<(&str, Box<dyn Fn(String) -> Value>)> = vec![
        ("organization.create", Box::new(|name| json!({"name": name}))),
        ("api_key.create", Box::new(move |name| json!({"organization": org, "name": name, "grants": []}))),
        ("role.create", Box::new(move |about| json!({"organization": org, "name": "r", "about": about, "grants": []}))),
        ("connection.create", Box::new(move |name| json!({"organization": org, "protocol": "oidc", "name": name}))),
        (
            "app.create",
            Box::new(move |name| json!({"organization": org, "name": name, "redirectUris": ["https://a.example/cb"]})),
        ),
    ];
    for (operation, wish) in &wishes {
        for command in
            ["\u{1b}]52;c;aGk=\u{7}", "\u{1b}]8;;https://evil.example\u{1b}\\", "\u{9b}31m", "\r\n", "\u{0}", "\u{7f}"]
        {
            let name = wish(format!("Ada{command}Lovelace"));
            assert_eq!(tenant.refused_to_operator(operation, name).await, "invalid_input", "{operation} {command:?}");
        }
    }
}
