"""How forgetting is measured: what stays, what shows, what is likely."""
