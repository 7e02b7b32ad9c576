//! What the builders of a migration, of its resumption and of its rollback have in common.

/// Methods of a builder with a field `run: RunOptions`.
macro_rules! run_methods {
    () => {
        /// What the verification does beyond comparing all events.
        pub fn verify(
            mut self,
            options: impl FnOnce($crate::migration::VerifyOptions) -> $crate::migration::VerifyOptions,
        ) -> Self {
            let checks = std::mem::take(&mut self.run.checks);
            let given = $crate::migration::VerifyOptions { checks };
            self.run.checks = options(given).checks;
            self
        }

        /// Who wants to know about progress.
        pub fn progress(
            mut self,
            options: impl FnOnce(
                $crate::migration::ProgressOptions,
            ) -> $crate::migration::ProgressOptions,
        ) -> Self {
            self.run.progress = options(std::mem::take(&mut self.run.progress));
            self
        }

        /// Calls functions of your own at the turns of the migration; some may stop it.
        pub fn hooks(
            mut self,
            hooks: impl FnOnce($crate::migration::Hooks) -> $crate::migration::Hooks,
        ) -> Self {
            self.run.hooks = hooks(std::mem::take(&mut self.run.hooks));
            self
        }

        /// Lets functions of your own slow it down.
        pub fn throttle(
            mut self,
            options: impl FnOnce(
                $crate::migration::ThrottleOptions,
            ) -> $crate::migration::ThrottleOptions,
        ) -> Self {
            self.run.throttle = options(std::mem::take(&mut self.run.throttle));
            self
        }

        /// How often it looks for commands, and writes down its progress for who watches it.
        pub fn control(
            mut self,
            options: impl FnOnce(
                $crate::migration::ControlOptions,
            ) -> $crate::migration::ControlOptions,
        ) -> Self {
            self.run.control = options(self.run.control);
            self
        }

        /// Stops at the next safe point when the token is cancelled; it is resumable.
        pub fn cancel_on(mut self, token: tokio_util::sync::CancellationToken) -> Self {
            self.run.cancel = token;
            self
        }
    };
}

pub(crate) use run_methods;
