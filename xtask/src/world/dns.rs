//! The world's resolver. It knows a few names and keeps every question: a name that was looked
//! up has left the house.

use super::HOSTS;
use super::outside::Received;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;

/// Starts the resolver on the address that `resolv.conf` names.
pub(crate) async fn start(names: Received) -> Result<(), String> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)))
        .await
        .map_err(|e| format!("the world's resolver: {e}"))?;
    tokio::spawn(async move {
        let mut bytes = [0; 4096];
        while let Ok((n, peer)) = socket.recv_from(&mut bytes).await {
            let Ok(question) = Message::from_vec(bytes.get(..n).unwrap_or(&[])) else { continue };
            if let Ok(answer) = answer(&question, &names).to_vec() {
                let _ = socket.send_to(&answer, peer).await;
            }
        }
    });
    Ok(())
}

fn answer(question: &Message, names: &Received) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = ResponseCode::NXDomain;
    for query in &question.queries {
        let name = query.name().to_ascii().to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        names.push(name.to_owned());
        answer.add_query(query.clone());
        if let Some((_, address)) = HOSTS.iter().find(|(known, _)| *known == name) {
            answer.metadata.response_code = ResponseCode::NoError;
            if query.query_type() == RecordType::A {
                let data = RData::A(A(*address));
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
        }
    }
    answer
}
