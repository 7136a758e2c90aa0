"""What the live data and the radio prove about a sensor."""
