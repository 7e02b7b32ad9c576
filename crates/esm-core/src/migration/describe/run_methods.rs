//! Methods that the builders of a migration, of its resumption and of its rollback share.

/// Methods of a builder with a field `run: RunOptions`.
macro_rules! run_methods {
    () => {
        /// Adds a user's check of the target against its source. All events are always compared;
        /// the check is in addition.
        ///
        /// It is called after all events were compared, and again before a Close if more than
        /// [`final_round`]($crate::migration::MigrationBuilder::final_round) events were appended
        /// since. The last events are compared one by one, without the check: otherwise concurrent
        /// appends would win every time.
        pub fn check(mut self, check: impl $crate::migration::VerificationCheck) -> Self {
            self.run.checks.push(std::sync::Arc::new(check));
            self
        }

        /// Adds a closure as a [`check`](Self::check); it can read both streams. `Err` holds the
        /// reason why the target must not replace the source.
        pub fn check_with<F, Fut>(self, name: impl Into<String>, check: F) -> Self
        where
            F: Fn($crate::migration::ComparedStreams) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = std::result::Result<(), String>> + Send + 'static,
        {
            self.check($crate::cutover::verify::checks::FunctionCheck::new(
                name, check,
            ))
        }

        /// Sets the provider of backups whose options name none. Defaults to the service's
        /// provider.
        pub fn backups(
            mut self,
            provider: std::sync::Arc<dyn $crate::store::BackupProvider>,
        ) -> Self {
            self.run.backups = Some(provider);
            self
        }

        /// Sets the provider of archives whose options name none. Defaults to the service's
        /// provider.
        pub fn archives(
            mut self,
            provider: std::sync::Arc<dyn $crate::store::BackupProvider>,
        ) -> Self {
            self.run.archives = Some(provider);
            self
        }

        /// Sets the callbacks that receive the progress. Defaults to none.
        pub fn progress(mut self, options: $crate::migration::ProgressOptions) -> Self {
            self.run.progress = options;
            self
        }

        /// Counts the events of several objects before the first is migrated, so that the progress
        /// has a total and an estimate of the time left. Defaults to counting each batch as it
        /// begins.
        ///
        /// The count reads the document and the tail of up to 10,000 objects; of more, the total
        /// is a lower bound.
        pub fn count_first(mut self) -> Self {
            self.run.count_first = true;
            self
        }

        /// Sets the user callbacks at defined points of the migration; some may stop it. Defaults
        /// to none.
        pub fn hooks(mut self, hooks: $crate::migration::Hooks) -> Self {
            self.run.hooks = hooks;
            self
        }

        /// Sets the user callbacks that slow the migration down. Defaults to none.
        pub fn throttle(mut self, options: $crate::migration::ThrottleOptions) -> Self {
            self.run.throttle = options;
            self
        }

        /// Sets how often the run polls for commands and publishes its progress.
        pub fn control(mut self, options: $crate::migration::ControlOptions) -> Self {
            self.run.control = options;
            self
        }

        /// Changes how the lock is acquired and held. The closure receives the builder's defaults:
        /// a resumption and a rollback wait until the lock of a dead holder has expired, a
        /// migration does not wait.
        pub fn lock(
            mut self,
            options: impl FnOnce($crate::migration::LockOptions) -> $crate::migration::LockOptions,
        ) -> Self {
            self.run.lock = options(self.run.lock);
            self
        }

        /// Stops at the next safe point when the token is cancelled; the migration stays resumable.
        pub fn cancel_on(mut self, token: tokio_util::sync::CancellationToken) -> Self {
            self.run.cancel = token;
            self
        }
    };
}

pub(crate) use run_methods;
