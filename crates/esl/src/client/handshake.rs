//! From the greeting to a subscription.

use std::{future::Future, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};

use super::{ClientError, Connection, Reply, Step, good_bye};
use crate::{
    command::{Command, Password, Subscription},
    frame::ContentType,
};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Waits for the greeting and authenticates: by `userauth` when there is a user, else by `auth`.
    /// `within` counts for all of it; FreeSWITCH itself waits 25 s.
    ///
    /// # Errors
    /// [`ClientError::WrongPassword`], [`ClientError::AclRejected`], [`ClientError::Timeout`],
    /// [`ClientError::Unexpected`] and those of [`next_frame`](Self::next_frame).
    pub async fn login(
        &mut self,
        user: Option<&str>,
        password: &Password,
        within: Duration,
    ) -> Result<(), ClientError> {
        let command = match user {
            Some(user) => Command::userauth(user, password)?,
            None => Command::auth(password),
        };
        let deadline = Deadline::after(within);
        deadline.limit(Step::Greeting, self.greeting()).await?;
        let step = Step::Reply(command.kind());
        let reply = deadline.limit(step, self.request(&command)).await?;
        if reply.is_error() {
            return Err(ClientError::WrongPassword { user: user.map(str::to_owned) });
        }
        Ok(())
    }

    /// Subscribes to events and, if asked for, log lines. `within` counts for each command.
    ///
    /// # Errors
    /// [`ClientError::NotAllowed`], [`ClientError::Refused`], [`ClientError::Timeout`] and those of
    /// [`next_frame`](Self::next_frame).
    pub async fn subscribe(
        &mut self,
        subscription: &Subscription,
        within: Duration,
    ) -> Result<(), ClientError> {
        self.ask(&Command::event(subscription), within).await?;
        if let Some(level) = subscription.log_level() {
            self.ask(&Command::log(level), within).await?;
        }
        Ok(())
    }

    /// Subscribes to optional events. FreeSWITCH refuses a whole command when its user may not have
    /// one of the names in it (`esl-allowed-events`); then each name is requested alone. Returns the refused
    /// names. `within` counts for each command.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] and those of [`next_frame`](Self::next_frame).
    pub async fn subscribe_optional(
        &mut self,
        subscription: &Subscription,
        within: Duration,
    ) -> Result<Vec<String>, ClientError> {
        if self.is_granted(subscription, within).await? {
            return Ok(Vec::new());
        }
        let mut refused = Vec::new();
        for (name, alone) in subscription.each() {
            if !self.is_granted(&alone, within).await? {
                refused.push(name);
            }
        }
        Ok(refused)
    }

    async fn is_granted(
        &mut self,
        subscription: &Subscription,
        within: Duration,
    ) -> Result<bool, ClientError> {
        match self.ask(&Command::event(subscription), within).await {
            Ok(_) => Ok(true),
            Err(ClientError::NotAllowed { .. } | ClientError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn greeting(&mut self) -> Result<(), ClientError> {
        let frame = self.receive().await?;
        if let Some(error) = good_bye(&frame) {
            return Err(error);
        }
        match frame.content_type() {
            ContentType::AuthRequest => Ok(()),
            found => Err(ClientError::Unexpected { step: Step::Greeting, found }),
        }
    }

    /// A command that must succeed.
    async fn ask(&mut self, command: &Command, within: Duration) -> Result<Reply, ClientError> {
        let kind = command.kind();
        let step = Step::Reply(kind);
        let reply = Deadline::after(within).limit(step, self.request(command)).await?;
        if reply.is_permission_denied() {
            return Err(ClientError::NotAllowed { command: kind });
        }
        if reply.is_error() {
            return Err(ClientError::Refused { command: kind, reply: reply.to_string() });
        }
        Ok(reply)
    }
}

/// A time limit that several steps share.
struct Deadline {
    started: Instant,
    within: Duration,
}

impl Deadline {
    fn after(within: Duration) -> Self {
        Self { started: Instant::now(), within }
    }

    async fn limit<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let left = self.within.saturating_sub(self.started.elapsed());
        match timeout(left, work).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Timeout { step, after: self.within }),
        }
    }
}
