//! The recorded exchanges of `fixtures/protocol`, run against this server.

mod placeholders;
mod received;
mod recorder;
mod runner;
mod scenario;

use scenario::{Scenario, names};

/// Defines one test for each file that is about servers.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        const SCENARIOS: &[&str] = &[$(stringify!($name)),*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                runner::run(stringify!($name)).await;
            }
        )*
    };
}

scenarios![
    a_conversation_beside,
    agent_not_found,
    agent_not_found_later,
    bad_first_frames,
    bad_later_frames,
    branched,
    broken_agent,
    busy,
    cancel_refused,
    cancelled,
    cancelled_all,
    contradictions,
    conversation_ids,
    conversations_of_a_socket,
    detached_with_4000,
    draining,
    edited,
    either_spelling,
    evicted,
    failures,
    forbidden_origin,
    gone,
    hello_and_ready,
    interrupted_by_a_restart,
    joined_turn,
    joined_while_it_runs,
    key_in_a_header,
    key_in_the_first_frame,
    key_that_is_wrong,
    length,
    long_answer,
    message_first,
    not_found,
    option_error,
    option_errors,
    options_in_layers,
    options_of_stream_and_message,
    page_left_with_1001,
    ping_and_pong,
    published_by_a_controller,
    queued_in_order,
    read_from_now_on,
    read_from_the_start,
    reasoning,
    regenerate_refused,
    regenerated,
    regenerated_first,
    reset_beyond_the_end,
    resumed_after_a_loss,
    sent_again,
    silent_from_the_start,
    stopped_with_1000,
    stopped_without_a_code,
    taken_over,
    too_large,
    tool_answered,
    tool_over_http,
    tool_refused,
    turns_over_http,
    websocket_rules,
];

#[test]
fn every_file_has_a_test() {
    let files = names().into_iter().filter(|name| Scenario::read(name).is_for_servers());
    assert_eq!(files.collect::<Vec<_>>(), SCENARIOS);
}
