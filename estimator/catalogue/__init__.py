"""Facts from elsewhere: data sheets, instances and their prices, terms of rental."""
