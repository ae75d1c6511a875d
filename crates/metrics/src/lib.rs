//! Labels, samples and exposition; knows no noun of operations.
