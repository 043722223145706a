"""Clinical-trial outcome simulation for low back pain: reported trials, priors, virtual patients, sample size."""
